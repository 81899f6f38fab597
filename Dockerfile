# docker build -t bullpen .
# One image for all programs: controller, release, check. Both bases can be replaced by those of a registry of your own:
#   docker build --build-arg BUILD_IMAGE=... --build-arg BASE_IMAGE=... -t bullpen .

# Node.js 24 or newer with npm; only for building, on the builder's own architecture, as the result is JavaScript.
ARG BUILD_IMAGE=node:24-bookworm-slim
# Node.js 24 or newer, found in /nodejs/bin or on the usual PATH; needs nothing else, not even a shell: a distroless image of Node.js
# does, and is the better choice where you have one.
ARG BASE_IMAGE=node:24-alpine

FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY scripts/build.ts scripts/own-source-map.ts scripts/third-party-notices.ts ./scripts/
COPY src ./src
RUN node scripts/build.ts

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Bullpen" \
      org.opencontainers.image.description="Run agent sessions as pods, on any Kubernetes cluster" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production \
    PATH=/nodejs/bin:/usr/local/bin:/usr/bin:/bin
COPY LICENSE /app/
COPY --from=build /src/dist/ /app/
# A number, so that Kubernetes can see that it is not root. The file system may be read-only: nothing is written.
USER 65532:65532
EXPOSE 8080
# Without the limit, V8 lets its space for new objects grow to 100 MiB, and what a long list leaves there is never collected
# in a process that then does nothing.
ENTRYPOINT ["node", "--enable-source-maps", "--max-semi-space-size=8", "/app/main.js"]
CMD ["--help"]
