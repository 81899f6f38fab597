import type { Route } from '../http/route.ts';
import type { SecretSets } from '../secrets/secret-sets.ts';
import { agentRoutes, type AgentDeps } from './agents.ts';
import { catalogueRoutes } from './catalogue.ts';
import { deploymentRoutes, type DeploymentDeps } from './deployments.ts';
import { logRoutes, type LogDeps } from './logs.ts';
import { organizationRoutes, type OrganizationDeps } from './organizations.ts';
import { secretRoutes } from './secrets.ts';
import { sessionRoutes, type SessionDeps } from './sessions.ts';
import { startRoute, type StartDeps } from './start.ts';

/** What the routes do their work with, by group. */
export interface RouteDeps {
  start: StartDeps;
  agents: AgentDeps;
  deployments: DeploymentDeps;
  sessions: SessionDeps;
  logs: LogDeps;
  secrets: SecretSets;
  organizations: OrganizationDeps;
}

/** Every route of the REST API. */
export function allRoutes({ start, agents, deployments, sessions, logs, secrets, organizations }: RouteDeps): Route[] {
  return [
    startRoute(start),
    ...agentRoutes(agents),
    ...deploymentRoutes(deployments),
    ...sessionRoutes(sessions),
    ...logRoutes(logs),
    ...secretRoutes(secrets),
    ...catalogueRoutes(),
    ...organizationRoutes(organizations),
  ];
}
