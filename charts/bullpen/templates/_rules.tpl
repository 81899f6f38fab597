{{/* What the controller does in each namespace that it serves. */}}
{{- define "bullpen.controllerRules" -}}
- apiGroups: [bullpen.dev]
  resources: [agents]
  verbs: [get, list, watch]
- apiGroups: [bullpen.dev]
  resources: [agents/status]
  verbs: [patch]
# Sessions whose time to be kept is over are deleted.
- apiGroups: [bullpen.dev]
  resources: [sessions]
  verbs: [get, list, watch, delete]
- apiGroups: [bullpen.dev]
  resources: [sessions/status]
  verbs: [patch]
# Owner references that block the owner's deletion need this right where OwnerReferencesPermissionEnforcement is on. Ours do not block;
# a policy that makes all of them block must not keep sessions from starting.
- apiGroups: [bullpen.dev]
  resources: [agents/finalizers, sessions/finalizers]
  verbs: [update]
- apiGroups: ['']
  resources: [pods]
  verbs: [get, list, watch, create, patch, delete]
# What the pods of an Agent's revisions are made of. Of one that comes back, the number is changed.
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [get, list, create, patch, delete]
# The one that a Session names in bodyFrom: is it labelled as a body, and small enough? Secrets are never listed.
- apiGroups: ['']
  resources: [secrets]
  verbs: [get]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
{{ include "bullpen.eventRules" . }}
{{- end -}}

{{/* What the gateway sees in each namespace that it serves. It writes nowhere but in organizations. */}}
{{- define "bullpen.gatewayRules" -}}
- apiGroups: [bullpen.dev]
  resources: [agents, sessions, apikeys]
  verbs: [get, list, watch]
{{- end -}}

{{/*
What it does in an organization beyond that: what its callers ask for. Whoever may make Agents can run any image, which may read the Secrets
beside it, and to patch a Secret is to read it: so these rights are for namespaces that somebody has named.
*/}}
{{- define "bullpen.organizationRules" -}}
- apiGroups: [bullpen.dev]
  resources: [agents, sessions]
  verbs: [create, patch, delete]
- apiGroups: [bullpen.dev]
  resources: [apikeys]
  verbs: [create, patch]
- apiGroups: [bullpen.dev]
  resources: [apikeys/status]
  verbs: [patch]
# The deployments of an agent.
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [list]
# What agents have written.
- apiGroups: ['']
  resources: [pods]
  verbs: [get, list]
- apiGroups: ['']
  resources: [pods/log]
  verbs: [get]
# Bodies of sessions that are too large for a Session, and sets of secrets: written, and never read.
- apiGroups: ['']
  resources: [secrets]
  verbs: [create, patch, delete]
# The key of the organization for Daily, with which rooms are made.
- apiGroups: ['']
  resources: [secrets]
  resourceNames: [bullpen-daily]
  verbs: [get]
# Which sets of secrets there are, and the names of what is in them.
- apiGroups: ['']
  resources: [configmaps]
  verbs: [create]
- apiGroups: ['']
  resources: [configmaps]
  resourceNames: [bullpen-secret-sets]
  verbs: [get, patch]
{{- end -}}

{{/* Asks Kubernetes who has a token, and what they may do. */}}
{{- define "bullpen.reviewRules" -}}
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
- apiGroups: [authorization.k8s.io]
  resources: [subjectaccessreviews]
  verbs: [create]
{{- end -}}

{{- define "bullpen.gatewaySubjects" -}}
- kind: ServiceAccount
  name: {{ include "bullpen.gatewayServiceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{- define "bullpen.eventRules" -}}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* What no Role can give, because it is not in a namespace: a node that is gone has lost its sessions. */}}
{{- define "bullpen.nodeRules" -}}
- apiGroups: ['']
  resources: [nodes]
  verbs: [get, list, watch]
{{- end -}}

{{/* What `release` does to the pods of sessions. */}}
{{- define "bullpen.releaseRules" -}}
- apiGroups: ['']
  resources: [pods]
  verbs: [get, list, patch]
{{- end -}}

{{/* The account of the controller as the subject of a binding. */}}
{{- define "bullpen.controllerSubjects" -}}
- kind: ServiceAccount
  name: {{ include "bullpen.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{- define "bullpen.releaseSubjects" -}}
- kind: ServiceAccount
  name: {{ include "bullpen.releaseName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

