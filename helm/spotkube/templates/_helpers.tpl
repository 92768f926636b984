{{/* Name of the chart's objects: the release's, with "spotkube" in it. 52 characters leave room for suffixes. */}}
{{- define "spotkube.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains "spotkube" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-spotkube" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* Cluster-scoped names carry the namespace, so that releases of one name in two namespaces do not share rights. */}}
{{- define "spotkube.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "spotkube.fullname" .) -}}
{{- end }}

{{- define "spotkube.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "spotkube.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.name: name the ServiceAccount to use, or set serviceAccount.create to true" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "spotkube.selectorLabels" -}}
app.kubernetes.io/name: spotkube
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "spotkube.labels" -}}
{{ include "spotkube.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: spotkube
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "spotkube.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{/* Whom the admission policies let do what they keep from everybody else. */}}
{{- define "spotkube.username" -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "spotkube.serviceAccountName" .) -}}
{{- end }}

{{/* "true" where the queue is enforced: both kinds of policy must be served, or Jobs would be refused and not held. */}}
{{- define "spotkube.queuePolicy" -}}
{{- $served := .Capabilities.APIVersions -}}
{{- if and .Values.queuePolicy.enabled ($served.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy") ($served.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy") -}}
true
{{- end -}}
{{- end }}

{{/*
Conditions on which a pod that names a queue waits there by itself.
*/}}
{{- define "spotkube.waitsAsPod" -}}
- name: is-of-a-queue-of-ours
  expression: >-
    object.metadata.?labels[?'spotkube.io/queue-name'].orValue('') != '' &&
    object.metadata.?labels[?'kueue.x-k8s.io/queue-name'].orValue('') == ''
- name: is-not-of-a-job-or-daemon-or-node
  expression: >-
    !object.metadata.?ownerReferences.orValue([])
    .exists(owner, owner.?controller.orValue(false) && owner.kind in ['Job', 'DaemonSet', 'Node'])
{{- end }}
