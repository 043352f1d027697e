package components

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/bindata"
)

// Labels and annotations of what is deployed.
const (
	// LabelManagedBy with ManagedBy marks what this package deploys.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	ManagedBy      = "sriov-offload-operator"
	// AnnotationRendered is a hash of what was rendered. It shows that a setting
	// was taken away, which a comparison with defaulted objects does not.
	AnnotationRendered = "sriovnetwork.openshift.io/rendered"
)

// Images that containers run.
type Images struct {
	// Operator is the image of this release, DevicePlugin that of
	// sriov-network-device-plugin; empty if somebody else deploys the plugin.
	Operator, DevicePlugin string
}

// DaemonSets returns what is to be deployed in the namespace. The same input
// gives the same objects, byte by byte.
func DaemonSets(namespace string, images Images, spec sriovv1.SriovOperatorConfigSpec) ([]*appsv1.DaemonSet, error) {
	daemon, err := decode("config-daemon.yaml")
	if err != nil {
		return nil, err
	}
	setDaemon(&daemon.Spec.Template.Spec, images, spec)
	all := []*appsv1.DaemonSet{daemon}
	if images.DevicePlugin != "" {
		plugin, err := decode("device-plugin.yaml")
		if err != nil {
			return nil, err
		}
		setPlugin(&plugin.Spec.Template.Spec, images, spec)
		all = append(all, plugin)
	}
	for _, d := range all {
		d.Namespace = namespace
		d.Labels = map[string]string{LabelManagedBy: ManagedBy}
		content, err := json.Marshal(d)
		if err != nil {
			return nil, fmt.Errorf("encoding DaemonSet %s: %w", d.Name, err)
		}
		sum := sha256.Sum256(content)
		d.Annotations = map[string]string{AnnotationRendered: hex.EncodeToString(sum[:8])}
	}
	return all, nil
}

func decode(file string) (*appsv1.DaemonSet, error) {
	content, err := bindata.Manifests.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest %s: %w", file, err)
	}
	d := &appsv1.DaemonSet{}
	if err := yaml.UnmarshalStrict(content, d); err != nil {
		return nil, fmt.Errorf("decoding the manifest %s: %w", file, err)
	}
	return d, nil
}

func setDaemon(pod *corev1.PodSpec, images Images, spec sriovv1.SriovOperatorConfigSpec) {
	pod.NodeSelector = map[string]string{corev1.LabelOSStable: "linux"}
	if len(spec.ConfigDaemonNodeSelector) > 0 {
		pod.NodeSelector = maps.Clone(spec.ConfigDaemonNodeSelector)
	}
	c := &pod.Containers[0]
	c.Image = images.Operator
	c.Args = append(c.Args, verbosity(spec))
	// What the daemon needs to know of its pod is not the user's to set.
	own := func(name string) bool {
		return slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == name })
	}
	var added []corev1.EnvVar
	for _, name := range slices.Sorted(maps.Keys(spec.ConfigDaemonEnvVars)) {
		if !own(name) {
			added = append(added, corev1.EnvVar{Name: name, Value: spec.ConfigDaemonEnvVars[name]})
		}
	}
	c.Env = append(c.Env, added...)
}

// cdiFolder is where the plugin puts the descriptions of devices for the container runtime.
const cdiFolder = "/var/run/cdi"

func setPlugin(pod *corev1.PodSpec, images Images, spec sriovv1.SriovOperatorConfigSpec) {
	wait := &pod.InitContainers[0]
	wait.Image = images.Operator
	wait.Args = append(wait.Args, verbosity(spec))
	c := &pod.Containers[0]
	c.Image = images.DevicePlugin
	if !spec.UseCDI {
		return
	}
	c.Args = append(c.Args, "--use-cdi")
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "cdi", MountPath: cdiFolder})
	create := corev1.HostPathDirectoryOrCreate
	pod.Volumes = append(pod.Volumes, corev1.Volume{Name: "cdi", VolumeSource: corev1.VolumeSource{
		HostPath: &corev1.HostPathVolumeSource{Path: cdiFolder, Type: &create},
	}})
}

func verbosity(spec sriovv1.SriovOperatorConfigSpec) string {
	return "--verbosity=" + strconv.Itoa(spec.LogLevel)
}
