{{/* Annotations of what exists only while a hook runs. Call with the weight: lower ones come first. */}}
{{- define "bullpen.releaseHook" -}}
helm.sh/hook: pre-delete
{{ include "bullpen.hookLife" . }}
{{- end -}}

{{- define "bullpen.testHook" -}}
helm.sh/hook: test
{{ include "bullpen.hookLife" . }}
{{- end -}}

{{/* What failed stays, with its logs, until the hook runs again. */}}
{{- define "bullpen.hookLife" -}}
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}
