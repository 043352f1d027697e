{{- define "gvList" -}}
# API reference

Written by `make generate` from the comments in `api/`. A rule over several fields is told by the API server when it is broken;
a field with neither **required** nor a default may be left out.
{{ range . }}
{{- range .SortedKinds }}
- [{{ . }}](#{{ lower . }})
{{- end }}
{{ range .SortedTypes }}
{{ template "type" . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "type" -}}
{{- if markdownShouldRenderType . }}
## {{ .Name }}

{{ .Doc }}
{{ if .References }}
Used in:
{{- range .SortedReferences }} {{ markdownRenderTypeLink . }}{{ end }}.
{{ end }}
{{- if .EnumValues }}
| Value | Meaning |
| --- | --- |
{{- range .EnumValues }}
| `{{ .Name }}` | {{ markdownRenderFieldDoc .Doc }} |
{{- end }}
{{ end }}
{{- if .Members }}
| Field | Meaning | Default | Limits |
| --- | --- | --- | --- |
{{- if .GVK }}
| `apiVersion` _string_ | `{{ .GVK.Group }}/{{ .GVK.Version }}` | | |
| `kind` _string_ | `{{ .GVK.Kind }}` | | |
{{- end }}
{{- range .Members }}
| `{{ .Name }}` _{{ markdownRenderType .Type }}_ | {{ if eq .Name "metadata" }}As for every Kubernetes object.{{ else }}{{ markdownRenderFieldDoc .Doc }}{{ end }} | {{ markdownRenderDefault .Default }} | {{ template "limits" .Validation }} |
{{- end }}
{{ end }}
{{- end }}
{{- end -}}

{{- define "limits" -}}
{{- $all := list -}}
{{- range . -}}
{{- if hasPrefix "Required" . }}{{ $all = append $all "**required**" }}
{{- else if not (or (hasPrefix "Optional" .) (contains "XValidation" .)) }}{{ $all = append $all (markdownRenderFieldDoc .) }}
{{- end -}}
{{- end -}}
{{ join ", " $all }}
{{- end -}}
