{{- define "vestibule.labels" -}}
app.kubernetes.io/part-of: vestibule
{{- end }}

{{/* The whole reference of an image: a dict of its name and the root. */}}
{{- define "vestibule.image" -}}
{{- $images := .root.Values.images -}}
{{- with get $images .name -}}
{{ . }}
{{- else -}}
{{ required (printf "set images.repository, or images.%s" .name) $images.repository }}/{{ .name }}:{{ $images.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* A file's documents, each as it is but for its name and the labels: a dict of the file and the root. */}}
{{- define "vestibule.documents" -}}
{{- range $document := splitList "\n---\n" (.root.Files.Get .file) }}
{{- $object := fromYaml $document }}
{{- $_ := set $object.metadata "name" (printf "vestibule-%s" $object.metadata.name) }}
{{- $_ := set $object.metadata "labels" (merge (dict "app.kubernetes.io/part-of" "vestibule") ($object.metadata.labels | default dict)) }}
{{- with $object.spec }}
{{- with .policyName }}
{{- $_ := set $object.spec "policyName" (printf "vestibule-%s" .) }}
{{- end }}
{{- end }}
---
{{ toYaml $object }}
{{- end }}
{{- end }}

{{/* The rules of one kind of role in the generated file: a dict of the kind and the root. */}}
{{- define "vestibule.rules" -}}
{{- $kind := .kind -}}
{{- range $document := splitList "\n---\n" (.root.Files.Get "files/role.yaml") }}
{{- $object := fromYaml $document }}
{{- if eq $object.kind $kind }}
{{- toYaml $object.rules }}
{{- end }}
{{- end }}
{{- end }}
