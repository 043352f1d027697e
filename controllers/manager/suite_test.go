package manager_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/api/ssa"
	"github.com/sriov-offload/sriov-offload-operator/controllers/deviceplugin"
	"github.com/sriov-offload/sriov-offload-operator/controllers/manager"
	"github.com/sriov-offload/sriov-offload-operator/test/controlplane"
	"github.com/sriov-offload/sriov-offload-operator/test/counting"
)

func TestManager(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Manager")
}

var (
	config *rest.Config
	c      client.Client
)

var _ = BeforeSuite(func(ctx SpecContext) {
	log.SetLogger(zap.New(zap.WriteTo(GinkgoWriter)))
	SetDefaultEventuallyTimeout(15 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	SetDefaultConsistentlyDuration(500 * time.Millisecond)
	SetDefaultConsistentlyPollingInterval(50 * time.Millisecond)
	EnforceDefaultTimeoutsWhenUsingContexts()

	cp, err := controlplane.Start(context.WithoutCancel(ctx), controlplane.Options{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(cp.Stop)
	config = cp.Config
	scheme, err := manager.NewScheme()
	Expect(err).NotTo(HaveOccurred())
	c, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
})

// grant gives a user what the manager may do by config/rbac, and no more, so
// that every spec shows that it is enough.
func grant(ctx context.Context, namespace, user string) {
	GinkgoHelper()
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
	root, err := controlplane.ModuleRoot()
	Expect(err).NotTo(HaveOccurred())
	file, err := os.Open(filepath.Join(root, "config", "rbac", "role.yaml"))
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(file.Close()).To(Succeed()) }()
	documents := yaml.NewYAMLOrJSONDecoder(file, 4096)

	var everywhere rbacv1.ClusterRole
	Expect(documents.Decode(&everywhere)).To(Succeed())
	Expect(everywhere.Kind).To(Equal("ClusterRole"))
	everywhere.Name = "manager-of-" + namespace
	Expect(c.Create(ctx, &everywhere)).To(Succeed())
	Expect(c.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: everywhere.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: everywhere.Name},
		Subjects:   subjects,
	})).To(Succeed())

	var here rbacv1.Role
	Expect(documents.Decode(&here)).To(Succeed())
	Expect(here.Kind).To(Equal("Role"))
	here.Namespace = namespace
	Expect(c.Create(ctx, &here)).To(Succeed())
	Expect(c.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: here.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: here.Name},
		Subjects:   subjects,
	})).To(Succeed())
}

// cluster is a namespace of the operator with a running manager, and the nodes
// that the spec made. Both end with the spec.
type cluster struct {
	namespace string
	requests  *counting.Requests
	stop      func()
	options   manager.Options
}

// newCluster starts a manager in a new namespace.
func newCluster(ctx context.Context, change ...func(*manager.Options)) *cluster {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "operator-"}}
	Expect(c.Create(ctx, ns)).To(Succeed())
	k := &cluster{namespace: ns.Name, requests: &counting.Requests{}}
	counted := rest.CopyConfig(config)
	counted.Wrap(k.requests.Wrap)
	counted.Impersonate.UserName = "system:serviceaccount:" + k.namespace + ":manager"
	grant(ctx, k.namespace, counted.Impersonate.UserName)
	k.options = manager.Options{Config: counted, Namespace: k.namespace, RemovalDelay: time.Hour}
	for _, f := range change {
		f(&k.options)
	}
	k.start(ctx)
	DeferCleanup(func() { k.stop() })
	return k
}

// start runs a manager until stop is called or the spec ends.
func (k *cluster) start(ctx context.Context) {
	ctx, cancel := context.WithCancel(log.IntoContext(context.WithoutCancel(ctx), log.Log.WithValues("operator", k.namespace)))
	done := make(chan error, 1)
	go func() {
		defer GinkgoRecover()
		done <- manager.Run(ctx, k.options)
	}()
	stopped := false
	k.stop = func() {
		GinkgoHelper()
		if stopped {
			return
		}
		stopped = true
		cancel()
		Eventually(done).WithTimeout(30 * time.Second).Should(Receive(BeNil()))
	}
}

// node makes a node that is removed with the spec.
func (k *cluster) node(ctx context.Context, name string, labels map[string]string) *corev1.Node {
	GinkgoHelper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	Expect(c.Create(ctx, n)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		Expect(client.IgnoreNotFound(c.Delete(ctx, n))).To(Succeed())
	})
	return n
}

// state reads the state of a node; nil if there is none.
func (k *cluster) state(ctx context.Context, node string) *sriovv1.SriovNetworkNodeState {
	GinkgoHelper()
	s := &sriovv1.SriovNetworkNodeState{}
	err := c.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: node}, s)
	if apierrors.IsNotFound(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	return s
}

// spec is a function for Eventually: the spec of the state of a node.
func (k *cluster) spec(ctx context.Context, node string) func(Gomega) sriovv1.SriovNetworkNodeStateSpec {
	return func(g Gomega) sriovv1.SriovNetworkNodeStateSpec {
		s := k.state(ctx, node)
		g.Expect(s).NotTo(BeNil(), "node state %s", node)
		return s.Spec
	}
}

// computed waits until the spec of the node's state was computed and returns the state.
func (k *cluster) computed(ctx context.Context, node string) *sriovv1.SriovNetworkNodeState {
	GinkgoHelper()
	Eventually(k.spec(ctx, node)).Should(HaveField("ComputedFrom", Not(BeEmpty())))
	return k.state(ctx, node)
}

const daemon = client.FieldOwner("daemon")

// report publishes an inventory as the daemon of the node does when it starts.
func (k *cluster) report(ctx context.Context, node string, interfaces ...sriovv1.InterfaceStatus) {
	GinkgoHelper()
	Eventually(func() any { return k.state(ctx, node) }).ShouldNot(BeNil())
	s := k.state(ctx, node)
	k.publish(ctx, node, sriovv1.SriovNetworkNodeStateStatus{
		ObservedGeneration: s.Generation,
		Inventory:          sriovv1.InventoryComplete,
		Interfaces:         interfaces,
		Conditions:         daemonConditions(s.Generation, metav1.ConditionFalse, sriovv1.ReasonNotComputed, "observing"),
	})
}

// answer publishes that the daemon is done with the spec as it is now: with
// the reason Converged it is ready, with any other it needs a person.
func (k *cluster) answer(ctx context.Context, node, reason, message string) {
	GinkgoHelper()
	s := k.state(ctx, node)
	Expect(s).NotTo(BeNil())
	ready := metav1.ConditionFalse
	if reason == sriovv1.ReasonConverged {
		ready = metav1.ConditionTrue
	}
	s.Status.ObservedGeneration = s.Generation
	s.Status.Conditions = daemonConditions(s.Generation, ready, reason, message)
	k.publish(ctx, node, s.Status)
}

func (k *cluster) publish(ctx context.Context, node string, status sriovv1.SriovNetworkNodeStateStatus) {
	GinkgoHelper()
	s := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: k.namespace, Name: node}, Status: status}
	Expect(ssa.ApplyStatus(ctx, c, s, daemon)).To(Succeed())
}

func daemonConditions(generation int64, ready metav1.ConditionStatus, reason, message string) []metav1.Condition {
	stalled := metav1.ConditionFalse
	if ready == metav1.ConditionFalse && reason == sriovv1.ReasonBlocked {
		stalled = metav1.ConditionTrue
	}
	var conditions []metav1.Condition
	for kind, status := range map[string]metav1.ConditionStatus{sriovv1.ConditionReady: ready, sriovv1.ConditionStalled: stalled} {
		meta.SetStatusCondition(&conditions, metav1.Condition{
			Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: generation,
		})
	}
	return conditions
}

// create makes an object in the operator's namespace.
func (k *cluster) create(ctx context.Context, objects ...client.Object) {
	GinkgoHelper()
	for _, o := range objects {
		o.SetNamespace(k.namespace)
		Expect(c.Create(ctx, o)).To(Succeed())
	}
}

// update changes an object of the operator's namespace.
func update[T client.Object](ctx context.Context, k *cluster, obj T, name string, change func(T)) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(c.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: name}, obj)).To(Succeed())
		change(obj)
		g.Expect(c.Update(ctx, obj)).To(Succeed())
	}).Should(Succeed())
}

// relabel changes labels of a node.
func relabel(ctx context.Context, name string, labels map[string]any) {
	GinkgoHelper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":%s}}`, mustJSON(labels))
	Expect(c.Patch(ctx, n, client.RawPatch("application/merge-patch+json", patch))).To(Succeed())
}

// labels is a function for Eventually: the labels of a node.
func labels(ctx context.Context, name string) func(Gomega) map[string]string {
	return func(g Gomega) map[string]string {
		n := &corev1.Node{}
		g.Expect(c.Get(ctx, client.ObjectKey{Name: name}, n)).To(Succeed())
		return n.Labels
	}
}

// policyStatus is a function for Eventually: the status of a policy.
func (k *cluster) policyStatus(ctx context.Context, name string) func(Gomega) sriovv1.SriovNetworkNodePolicyStatus {
	return func(g Gomega) sriovv1.SriovNetworkNodePolicyStatus {
		p := &sriovv1.SriovNetworkNodePolicy{}
		g.Expect(c.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: name}, p)).To(Succeed())
		g.Expect(p.Status.ObservedGeneration).To(Equal(p.Generation))
		return p.Status
	}
}

// configMap is a function for Eventually: the device plugin configuration of a node, nil if there is none.
func (k *cluster) configMap(ctx context.Context, node string) func(Gomega) *corev1.ConfigMap {
	return func(g Gomega) *corev1.ConfigMap {
		cm := &corev1.ConfigMap{}
		err := c.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: deviceplugin.ConfigMapPrefix + node}, cm)
		if apierrors.IsNotFound(err) {
			return nil
		}
		g.Expect(err).NotTo(HaveOccurred())
		return cm
	}
}

// reconciles is how often a controller has reconciled since the process started.
func reconciles(controller string) float64 {
	GinkgoHelper()
	families, err := metrics.Registry.(prometheus.Gatherer).Gather()
	Expect(err).NotTo(HaveOccurred())
	total := 0.0
	for _, family := range families {
		if family.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			if hasLabel(m, "controller", controller) {
				total += m.GetCounter().GetValue()
			}
		}
	}
	return total
}

func hasLabel(m *dto.Metric, name, value string) bool {
	for _, l := range m.GetLabel() {
		if l.GetName() == name && l.GetValue() == value {
			return true
		}
	}
	return false
}
