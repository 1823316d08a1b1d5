package resources

import (
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
)

// Directory is where gateway pods find their files.
const Directory = "/etc/vestibule"

// ContainerName is that of the gateway's container in its pods.
const ContainerName = "gateway"

const (
	portPublic  = "http"
	portTLS     = "https" // portPublic's name where it has TLS
	portAdmin   = "admin"
	portMetrics = "metrics" // portAdmin's name where there are some
	publicPort  = 8080
	adminPort   = 8081
	// user is who the gateway's image runs as; any but root would do.
	user = 65532
)

// Pod is what the gateway's pods depend on besides the spec.
type Pod struct {
	// Image is the gateway's.
	Image string
	// Config is the name of the ConfigMap with the configuration.
	Config string
	// References stand for the content of what the spec refers to, by Reference.ID.
	References map[string]string
	// Withheld are the IDs of what the server may not use.
	Withheld map[string]bool
	// ClientShards and GrantShards are how many the configuration says there are.
	ClientShards, GrantShards int
	// Inputs stands for all of these that the controller does not decide itself.
	Inputs string
}

// Deployment runs the gateway's pods. Everything that they read at their start is
// named in their template, so it rolls them when it changes.
func Deployment(server *v1alpha1.MCPServer, p Pod) (*appsv1ac.DeploymentApplyConfiguration, error) {
	template, err := podTemplate(server, p)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(template)
	if err != nil {
		return nil, fmt.Errorf("encoding the pod template: %w", err)
	}
	template.WithLabels(map[string]string{LabelTemplate: Digest(data)})
	return appsv1ac.Deployment(Name(server), server.Namespace).
		WithLabels(Labels(server, ComponentGateway)).
		WithLabels(map[string]string{LabelInputs: p.Inputs}).
		WithOwnerReferences(owner(server)).
		WithSpec(appsv1ac.DeploymentSpec().
			WithRevisionHistoryLimit(1).
			WithStrategy(strategy(server)).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(selector(server))).
			WithTemplate(template)), nil
}

// Scale says how many pods a Deployment is to have; 0 leaves that to an autoscaler.
func Scale(d *appsv1ac.DeploymentApplyConfiguration, replicas int32) {
	if replicas > 0 {
		d.Spec.WithReplicas(replicas)
	} else {
		d.WithAnnotations(map[string]string{AnnotationReplicas: "autoscaled"})
	}
}

// strategy starts each new pod before an old one ends, but where two at a time
// would each have a memory of their own, or the old one would go on with a store
// that the new one has copied.
func strategy(server *v1alpha1.MCPServer) *appsv1ac.DeploymentStrategyApplyConfiguration {
	if kv := &server.Spec.Bindings.OAuthKV; kv.Type == v1alpha1.OAuthKVMemory || kv.MigrateFrom != "" {
		return appsv1ac.DeploymentStrategy().WithType(appsv1.RecreateDeploymentStrategyType)
	}
	return appsv1ac.DeploymentStrategy().
		WithType(appsv1.RollingUpdateDeploymentStrategyType).
		WithRollingUpdate(appsv1ac.RollingUpdateDeployment().
			WithMaxSurge(intstr.FromInt32(1)).
			WithMaxUnavailable(intstr.FromInt32(0)))
}

func podTemplate(server *v1alpha1.MCPServer, p Pod) (*corev1ac.PodTemplateSpecApplyConfiguration, error) {
	pod := corev1ac.PodSpec().
		WithServiceAccountName(Name(server)).
		WithAutomountServiceAccountToken(true).
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(30).
		WithSecurityContext(corev1ac.PodSecurityContext().
			WithRunAsNonRoot(true).WithRunAsUser(user).WithRunAsGroup(user).WithFSGroup(user).
			WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))).
		WithContainers(gatewayContainer(server, p)).
		WithVolumes(volumes(server, p)...)
	if err := customize(pod, server); err != nil {
		return nil, err
	}
	contents, err := json.Marshal(p.References)
	if err != nil {
		return nil, fmt.Errorf("encoding the references: %w", err)
	}
	annotations := map[string]string{AnnotationConfig: p.Config, AnnotationReferences: string(contents)}
	if server.Spec.Bindings.OAuthKV.Kubernetes != nil {
		annotations[AnnotationClientShards] = strconv.Itoa(p.ClientShards)
		annotations[AnnotationGrantShards] = strconv.Itoa(p.GrantShards)
	}
	return corev1ac.PodTemplateSpec().
		WithLabels(podLabels(server)).
		WithAnnotations(podAnnotations(server, annotations)).
		WithSpec(pod), nil
}

func gatewayContainer(server *v1alpha1.MCPServer, p Pod) *corev1ac.ContainerApplyConfiguration {
	admin := portAdmin
	if server.Spec.Gateway.Metrics == v1alpha1.PolicyEnabled {
		admin = portMetrics
	}
	args := []string{
		"-config", path.Join(Directory, configDirectory, configKey),
		"-config-name", p.Config,
		"-pod-uid", "$(POD_UID)",
		"-listen", ":8080",
		"-admin", ":8081",
	}
	if server.Spec.Gateway.Profiling == v1alpha1.PolicyEnabled {
		args = append(args, "-pprof-addr", "127.0.0.1:6060")
	}
	requests, limits := podResources(server)
	return corev1ac.Container().
		WithName(ContainerName).
		WithImage(p.Image).
		WithImagePullPolicy(corev1.PullIfNotPresent).
		WithArgs(args...).
		WithEnv(environment(server, limits[corev1.ResourceMemory])...).
		WithPorts(
			corev1ac.ContainerPort().WithName(publicName(server)).WithContainerPort(publicPort).WithProtocol(corev1.ProtocolTCP),
			corev1ac.ContainerPort().WithName(admin).WithContainerPort(adminPort).WithProtocol(corev1.ProtocolTCP),
		).
		WithReadinessProbe(probe("/readyz", 5)).
		WithLivenessProbe(probe("/healthz", 10)).
		WithResources(corev1ac.ResourceRequirements().WithRequests(requests).WithLimits(limits)).
		WithSecurityContext(corev1ac.SecurityContext().
			WithAllowPrivilegeEscalation(false).
			WithReadOnlyRootFilesystem(true).
			WithCapabilities(corev1ac.Capabilities().WithDrop("ALL"))).
		// The last lines of a crash are what a condition quotes.
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError).
		WithVolumeMounts(mounts(server)...)
}

func publicName(server *v1alpha1.MCPServer) string {
	if server.Spec.Gateway.TLS != nil {
		return portTLS
	}
	return portPublic
}

func probe(path string, period int32) *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().
		WithHTTPGet(corev1ac.HTTPGetAction().WithPath(path).WithPort(intstr.FromInt32(adminPort)).WithScheme(corev1.URISchemeHTTP)).
		WithPeriodSeconds(period).
		WithTimeoutSeconds(3).
		WithFailureThreshold(3)
}

// volumes lay out what Inputs.Directory promises. The kubelet brings nothing of a volume
// up to date while one of its sources is missing. So keys, configuration and certificate
// have volumes of their own, and what the spec refers to may be missing.
func volumes(server *v1alpha1.MCPServer, p Pod) []*corev1ac.VolumeApplyConfiguration {
	item := func(key string) *corev1ac.KeyToPathApplyConfiguration {
		return corev1ac.KeyToPath().WithKey(key).WithPath(key)
	}
	secret := func(name string, keys ...string) *corev1ac.SecretVolumeSourceApplyConfiguration {
		source := corev1ac.SecretVolumeSource().WithSecretName(name).WithDefaultMode(fileMode)
		for _, key := range keys {
			source.WithItems(item(key))
		}
		return source
	}
	all := []*corev1ac.VolumeApplyConfiguration{
		corev1ac.Volume().WithName(configDirectory).WithConfigMap(
			corev1ac.ConfigMapVolumeSource().WithName(p.Config).WithItems(item(configKey)).WithDefaultMode(fileMode)),
		//rule:keys-behind-references
		corev1ac.Volume().WithName(keysDirectory).WithSecret(secret(KeysName(server), keysKey)),
	}
	if t := server.Spec.Gateway.TLS; t != nil {
		//rule:certificate-behind-references
		all = append(all, corev1ac.Volume().WithName(tlsDirectory).WithSecret(secret(t.SecretRef.Name, certKey, privateKeyKey)))
	}
	return append(all, corev1ac.Volume().WithName(references).WithProjected(referred(server, p)))
}

const fileMode = 0o440

// referred is what the spec refers to, as far as the server may use it.
func referred(server *v1alpha1.MCPServer, p Pod) *corev1ac.ProjectedVolumeSourceApplyConfiguration {
	volume := corev1ac.ProjectedVolumeSource().WithDefaultMode(fileMode)
	for _, r := range References(server) {
		//rule:secret-of-another-mounted
		if r.Followed || p.Withheld[r.ID()] {
			continue
		}
		item := corev1ac.KeyToPath().WithKey(r.Key).WithPath(strings.TrimPrefix(r.Path, references+"/"))
		if r.Kind == "Secret" {
			//rule:missing-secret-holds-up-files
			volume.WithSources(corev1ac.VolumeProjection().WithSecret(corev1ac.SecretProjection().WithName(r.Name).WithItems(item).WithOptional(true)))
		} else {
			//rule:missing-bundle-holds-up-files
			volume.WithSources(corev1ac.VolumeProjection().WithConfigMap(corev1ac.ConfigMapProjection().WithName(r.Name).WithItems(item).WithOptional(true)))
		}
	}
	return volume
}

func mounts(server *v1alpha1.MCPServer) []*corev1ac.VolumeMountApplyConfiguration {
	var all []*corev1ac.VolumeMountApplyConfiguration
	for _, v := range volumes(server, Pod{}) {
		all = append(all, corev1ac.VolumeMount().WithName(*v.Name).WithMountPath(path.Join(Directory, *v.Name)).WithReadOnly(true))
	}
	return all
}

// TemplateReferences are the Pod.References of a Deployment's template, or nil if that
// does not say, as those of older controllers.
func TemplateReferences(d *appsv1.Deployment) map[string]string {
	var contents map[string]string
	if d == nil || json.Unmarshal([]byte(d.Spec.Template.Annotations[AnnotationReferences]), &contents) != nil {
		return nil
	}
	return contents
}
