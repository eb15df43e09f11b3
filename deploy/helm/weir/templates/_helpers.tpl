{{- define "weir.labels" -}}
app.kubernetes.io/name: weir
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "weir.selector" -}}
app.kubernetes.io/name: weir
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .stage }}
{{- end }}

{{/* The pod of a stage: .root, .stage, .values */}}
{{- define "weir.pod" -}}
metadata:
  labels:
    {{- include "weir.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .stage }}
  annotations:
    # A changed setting restarts the pods.
    checksum/config: {{ .root.Values.config | toYaml | sha256sum }}
    {{- with .root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 40
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile: { type: RuntimeDefault }
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "weir.selector" . | nindent 10 }}
  containers:
    - name: {{ .stage }}
      {{- include "weir.container" . | nindent 6 }}
      args: [{{ .stage }}]
      ports:
        - { name: admin, containerPort: 9600 }
        {{- if eq .stage "gateway" }}
        - { name: http, containerPort: 8080 }
        {{- end }}
      livenessProbe:
        httpGet: { path: /livez, port: admin }
        periodSeconds: 10
      readinessProbe:
        httpGet: { path: /readyz, port: {{ if eq .stage "gateway" }}http{{ else }}admin{{ end }} }
        periodSeconds: 5
      resources:
        {{- toYaml .values.resources | nindent 8 }}
  volumes:
    {{- with .root.Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- if ne .stage "gateway" }}
    - name: data
      emptyDir: {}
    {{- end }}
  {{- with .root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* What every container has. */}}
{{- define "weir.container" -}}
image: "{{ .root.Values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}"
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
env:
  - { name: WEIR_ADMIN__LISTEN, value: "0.0.0.0:9600" }
envFrom:
  - configMapRef: { name: {{ .root.Release.Name }}-config }
  - secretRef: { name: {{ .root.Values.secretName }} }
volumeMounts:
  - { name: data, mountPath: /var/lib/weir }
  {{- with .root.Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
