package components_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/components"
)

type spec = sriovv1.SriovOperatorConfigSpec

var images = components.Images{Operator: "operator:1", DevicePlugin: "plugin:1"}

func render(t *testing.T, s spec) (daemon, plugin *appsv1.DaemonSet) {
	t.Helper()
	all, err := components.DaemonSets("ns", images, s)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d DaemonSets, %v", len(all), err)
	}
	for _, d := range all {
		if d.Namespace != "ns" || len(d.OwnerReferences) != 0 || d.Labels[components.LabelManagedBy] != components.ManagedBy {
			t.Errorf("DaemonSet %s: namespace %s, owners %v, labels %v", d.Name, d.Namespace, d.OwnerReferences, d.Labels)
		}
	}
	return all[0], all[1]
}

func TestWithoutSettings(t *testing.T) {
	daemon, plugin := render(t, spec{})
	pod := daemon.Spec.Template.Spec
	if diff := cmp.Diff(map[string]string{"kubernetes.io/os": "linux"}, pod.NodeSelector); diff != "" {
		t.Errorf("nodes of the daemon (-want +got):\n%s", diff)
	}
	if pod.Containers[0].Image != "operator:1" || !slices.Contains(pod.Containers[0].Args, "--verbosity=0") {
		t.Errorf("daemon: %s %v", pod.Containers[0].Image, pod.Containers[0].Args)
	}
	pod = plugin.Spec.Template.Spec
	if pod.NodeSelector[sriovv1.LabelDevicePlugin] != sriovv1.DevicePluginEnabled {
		t.Errorf("nodes of the plugin: %v", pod.NodeSelector)
	}
	if pod.InitContainers[0].Image != "operator:1" || pod.Containers[0].Image != "plugin:1" {
		t.Errorf("plugin: images %s and %s", pod.InitContainers[0].Image, pod.Containers[0].Image)
	}
	if slices.Contains(pod.Containers[0].Args, "--use-cdi") {
		t.Error("CDI without having been asked for")
	}
}

func TestSettings(t *testing.T) {
	daemon, plugin := render(t, spec{
		ConfigDaemonNodeSelector: map[string]string{"a": "b"}, LogLevel: 2, UseCDI: true,
		ConfigDaemonEnvVars: map[string]string{"B": "2", "A": "1", "NODE_NAME": "another"},
	})
	pod := daemon.Spec.Template.Spec
	if diff := cmp.Diff(map[string]string{"a": "b"}, pod.NodeSelector); diff != "" {
		t.Errorf("nodes of the daemon (-want +got):\n%s", diff)
	}
	var names []string
	for _, e := range pod.Containers[0].Env {
		names = append(names, e.Name)
	}
	if diff := cmp.Diff([]string{"NODE_NAME", "POD_NAMESPACE", "HOST_IP", "A", "B"}, names); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if pod.Containers[0].Env[0].ValueFrom == nil {
		t.Error("a setting took the daemon's own NODE_NAME")
	}
	pod = plugin.Spec.Template.Spec
	folder := func(m corev1.VolumeMount) bool { return m.MountPath == "/var/run/cdi" }
	if !slices.Contains(pod.Containers[0].Args, "--use-cdi") || !slices.ContainsFunc(pod.Containers[0].VolumeMounts, folder) {
		t.Errorf("CDI: %v %v", pod.Containers[0].Args, pod.Containers[0].VolumeMounts)
	}
	if !slices.Contains(pod.InitContainers[0].Args, "--verbosity=2") {
		t.Errorf("init container: %v", pod.InitContainers[0].Args)
	}
}

// TestTwice: the same settings give the same pods, so that nothing restarts when
// nothing changed; a setting of the one leaves the other alone.
func TestTwice(t *testing.T) {
	s := spec{ConfigDaemonEnvVars: map[string]string{"A": "1", "B": "2", "C": "3", "D": "4"}}
	daemon, plugin := render(t, s)
	for range 20 {
		again, pluginAgain := render(t, s)
		if diff := cmp.Diff(daemon, again) + cmp.Diff(plugin, pluginAgain); diff != "" {
			t.Fatalf("rendered again:\n%s", diff)
		}
	}
	daemonChanged, pluginSame := render(t, spec{})
	if diff := cmp.Diff(plugin, pluginSame); diff != "" {
		t.Errorf("settings of the daemon changed the plugin:\n%s", diff)
	}
	if daemonChanged.Annotations[components.AnnotationRendered] == daemon.Annotations[components.AnnotationRendered] {
		t.Error("the hash does not show that a setting was taken away")
	}
}

func TestConditions(t *testing.T) {
	running := appsv1.DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 5, UpdatedNumberScheduled: 5, NumberAvailable: 5}
	for _, test := range []struct {
		name   string
		change func(*sriovv1.SriovOperatorConfig, *appsv1.DaemonSetStatus)
		// true is the condition that is true.
		isTrue, reason, message string
	}{
		{"running", func(*sriovv1.SriovOperatorConfig, *appsv1.DaemonSetStatus) {}, "Ready", "Deployed", "in force"},
		{"just written", func(_ *sriovv1.SriovOperatorConfig, s *appsv1.DaemonSetStatus) { s.ObservedGeneration = 1 }, "Reconciling", "RollingOut", "just written"},
		{"an old pod", func(_ *sriovv1.SriovOperatorConfig, s *appsv1.DaemonSetStatus) { s.UpdatedNumberScheduled = 4 }, "Reconciling", "RollingOut", "of 5 nodes, 4 have"},
		{"a pod that does not run", func(_ *sriovv1.SriovOperatorConfig, s *appsv1.DaemonSetStatus) { s.NumberAvailable = 3 }, "Reconciling", "RollingOut", "and 3 run"},
		{"unknown gates", func(c *sriovv1.SriovOperatorConfig, _ *appsv1.DaemonSetStatus) {
			c.Spec.FeatureGates = map[string]bool{"z": true, "a": false}
		}, "Ready", "Deployed", "ignored: a, z"},
		{"another name", func(c *sriovv1.SriovOperatorConfig, _ *appsv1.DaemonSetStatus) { c.Name = "mine" }, "Stalled", "NotDefault", "named default"},
	} {
		config := &sriovv1.SriovOperatorConfig{ObjectMeta: metav1.ObjectMeta{Name: "default", Generation: 9}}
		d := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "d", Generation: 2}, Status: running}
		test.change(config, &d.Status)
		got := components.Conditions(config, []*appsv1.DaemonSet{d})
		if len(got) != 3 {
			t.Errorf("%s: %d conditions", test.name, len(got))
		}
		for _, c := range got {
			if (c.Status == metav1.ConditionTrue) != (c.Type == test.isTrue) || c.Reason != test.reason || c.ObservedGeneration != 9 {
				t.Errorf("%s: %+v", test.name, c)
			}
		}
		if m := meta.FindStatusCondition(got, "Ready").Message; !strings.Contains(m, test.message) {
			t.Errorf("%s: message %q", test.name, m)
		}
	}
}

// Without an image of the plugin, somebody else deploys it.
func TestWithoutPlugin(t *testing.T) {
	all, err := components.DaemonSets("ns", components.Images{Operator: "example.com/operator"}, sriovv1.SriovOperatorConfigSpec{})
	if err != nil || len(all) != 1 || all[0].Name != "sriov-network-config-daemon" {
		t.Fatalf("DaemonSets are %v, %v", all, err)
	}
}
