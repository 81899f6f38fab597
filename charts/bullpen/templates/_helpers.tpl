{{- define "bullpen.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "bullpen.controllerName" -}}
{{ include "bullpen.fullname" . }}-controller
{{- end -}}

{{/* The Secret of the keys that the controller signs with. The controller makes it. */}}
{{- define "bullpen.keysSecretName" -}}
{{ include "bullpen.controllerName" . }}-keys
{{- end -}}

{{/* The Secret of the keys that the gateway signs with. The controller makes it, too. */}}
{{- define "bullpen.gatewayKeysSecretName" -}}
{{ include "bullpen.fullname" . }}-gateway-keys
{{- end -}}

{{- define "bullpen.gatewayName" -}}
{{ include "bullpen.fullname" . }}-gateway
{{- end -}}

{{/* The ConfigMap in which the controller publishes the keys with which bodies are sealed for it. */}}
{{- define "bullpen.sealingKeysName" -}}
{{ include "bullpen.fullname" . }}-sealing-keys
{{- end -}}

{{- define "bullpen.releaseName" -}}
{{ include "bullpen.fullname" . }}-release
{{- end -}}

{{- define "bullpen.testName" -}}
{{ include "bullpen.fullname" . }}-test
{{- end -}}

{{- define "bullpen.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "bullpen.controllerName" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name must name an account that exists, when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Labels of everything. Call with (list $ "component"). */}}
{{- define "bullpen.labels" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.commonLabels }}
{{- toYaml . }}
{{ end -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: bullpen
{{ include "bullpen.selectorLabels" . }}
{{- end -}}

{{/* Labels that select the pods of one component; they never change. */}}
{{- define "bullpen.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "bullpen.image" -}}
{{- $reference := printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $reference .Values.image.digest -}}
{{- else -}}
{{- $reference -}}
{{- end -}}
{{- end -}}

{{/* The configuration of the programs, in the environment as BULLPEN_CONFIG. Its schema is in the program, which refuses unknown keys. */}}
{{- define "bullpen.config" -}}
{{- dict
  "namespace" .Release.Namespace
  "watchNamespaces" .Values.watch.namespaces
  "leaderElection" (dict "leaseName" (include "bullpen.controllerName" .))
  "health" (dict "port" 8080)
  "log" (dict "level" .Values.controller.logLevel)
  "sessionPods" .Values.sessionPods
  "supervisor" (dict
    "image" (include "bullpen.image" .)
    "imagePullPolicy" .Values.image.pullPolicy
    "imagePullSecrets" .Values.supervisor.imagePullSecrets
    "resources" .Values.supervisor.resources
    "keysSecret" (include "bullpen.keysSecretName" .)
    "gatewayKeysSecret" (include "bullpen.gatewayKeysSecretName" .)
    "sealingKeysConfigMap" (include "bullpen.sealingKeysName" .))
  "networkPolicy" (dict "sessions" (dict
    "enabled" .Values.networkPolicy.sessions.enabled
    "from" (concat (list (dict
      "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" .Release.Namespace))
      "podSelector" (dict "matchLabels" (include "bullpen.selectorLabels" (list . "controller") | fromYaml))))
      .Values.networkPolicy.sessions.from)))
| toJson -}}
{{- end -}}

{{/* The configuration of the gateway, in the same way. */}}
{{- define "bullpen.gatewayConfig" -}}
{{- dict
  "namespace" .Release.Namespace
  "watchNamespaces" .Values.watch.namespaces
  "http" (dict "port" 8000 "trustedProxies" .Values.gateway.trustedProxies)
  "rates" .Values.gateway.rates
  "health" (dict "port" 8080)
  "log" (dict "level" .Values.gateway.logLevel)
  "sealingKeysConfigMap" (include "bullpen.sealingKeysName" .)
  "keysSecret" (include "bullpen.gatewayKeysSecretName" .)
  "start" (dict "timeoutSeconds" .Values.gateway.startTimeoutSeconds)
  "daily" (dict "baseUrl" .Values.gateway.daily.baseUrl)
  "iceServers" .Values.gateway.iceServers
| toJson -}}
{{- end -}}

{{- define "bullpen.gatewayServiceAccountName" -}}
{{- if .Values.gateway.serviceAccount.create -}}
{{- default (include "bullpen.gatewayName" .) .Values.gateway.serviceAccount.name -}}
{{- else -}}
{{- required "gateway.serviceAccount.name must name an account that exists, when gateway.serviceAccount.create is false" .Values.gateway.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What the pod security standard `restricted` asks of a pod. The user is the image's own, which is not root. */}}
{{- define "bullpen.podSecurityContext" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* What it asks of a container, and a filesystem that cannot be written. */}}
{{- define "bullpen.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where pods of ours run. */}}
{{- define "bullpen.scheduling" -}}
{{- with .Values.controller.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.controller.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.controller.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
