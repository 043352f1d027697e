package networks_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/sriov-offload/sriov-offload-operator/controllers/manager"
	"github.com/sriov-offload/sriov-offload-operator/controllers/network"
	"github.com/sriov-offload/sriov-offload-operator/test/controlplane"
	"github.com/sriov-offload/sriov-offload-operator/test/counting"
)

func TestNetworks(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Networks")
}

// Specs are in order, since the cluster gets the definitions of others on the
// way and does not lose them any more.
var _ = Describe("Networks", Ordered, ContinueOnFailure, func() {
	definitionSpecs()
	offloadSpecs()
	podHelperSpecs()

	It("can be deleted with the operator gone, after cleanup", func(ctx SpecContext) {
		n := sriovNetwork("abandoned", "pods")
		create(ctx, n)
		Eventually(ready(ctx, n)).Should(attached)
		stopManager()
		Expect(c.Delete(ctx, n)).To(Succeed())
		Consistently(func() error { return c.Get(ctx, client.ObjectKeyFromObject(n), n) }).Should(Succeed())
		released, err := network.Release(ctx, c)
		Expect(err).NotTo(HaveOccurred())
		Expect(released).To(BeNumerically(">=", 1))
		remove(ctx, n)
		Expect(definition(ctx, "pods", "abandoned")(Default)).NotTo(BeNil())
	})
})

// operator is the namespace of the operator of the suite: there is one, as in
// any cluster, since networks may be in every namespace.
const operator = "sriov-offload-operator"

var (
	cp       *controlplane.ControlPlane
	c        client.Client
	requests = &counting.Requests{}
)

var _ = BeforeSuite(func(ctx SpecContext) {
	log.SetLogger(zap.New(zap.WriteTo(GinkgoWriter)))
	SetDefaultEventuallyTimeout(3 * time.Minute)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	SetDefaultConsistentlyDuration(500 * time.Millisecond)
	SetDefaultConsistentlyPollingInterval(50 * time.Millisecond)
	EnforceDefaultTimeoutsWhenUsingContexts()

	var err error
	cp, err = controlplane.Start(context.WithoutCancel(ctx), controlplane.Options{Webhooks: []string{"config/webhook/manifests.yaml"}})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
	scheme, err := manager.NewScheme()
	Expect(err).NotTo(HaveOccurred())
	c, err = client.New(cp.Config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	namespace(ctx, operator)
	startManager(ctx)
})

// startManager runs the manager with what config/rbac gives it, until the suite ends.
func startManager(ctx context.Context) {
	config := rest.CopyConfig(cp.Config)
	config.Wrap(requests.Wrap)
	config.Impersonate.UserName = "system:serviceaccount:" + operator + ":manager"
	grant(ctx, config.Impersonate.UserName)
	host, port, certs := cp.WebhookServing()
	running, cancel := context.WithCancel(log.IntoContext(context.WithoutCancel(ctx), log.Log))
	done := make(chan error, 1)
	go func() {
		defer GinkgoRecover()
		done <- manager.Run(running, manager.Options{
			Config: config, Namespace: operator, RemovalDelay: time.Hour,
			EnableInjector: true, WebhookHost: host, WebhookPort: port, WebhookCertPath: certs,
		})
	}()
	stopManager = sync.OnceFunc(func() {
		cancel()
		Eventually(done).Should(Receive(BeNil()))
	})
	DeferCleanup(func() { stopManager() })
}

// stopManager ends the manager of the suite for good.
var stopManager func()

// grant gives a user the roles of config/rbac.
func grant(ctx context.Context, user string) {
	GinkgoHelper()
	root, err := controlplane.ModuleRoot()
	Expect(err).NotTo(HaveOccurred())
	file, err := os.Open(filepath.Join(root, "config", "rbac", "role.yaml"))
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(file.Close()).To(Succeed()) }()
	documents := yaml.NewYAMLOrJSONDecoder(file, 4096)
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}

	var everywhere rbacv1.ClusterRole
	Expect(documents.Decode(&everywhere)).To(Succeed())
	Expect(c.Create(ctx, &everywhere)).To(Succeed())
	Expect(c.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: everywhere.Name}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: everywhere.Name},
	})).To(Succeed())
	var here rbacv1.Role
	Expect(documents.Decode(&here)).To(Succeed())
	here.Namespace = operator
	Expect(c.Create(ctx, &here)).To(Succeed())
	Expect(c.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: here.Name}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: here.Name},
	})).To(Succeed())
}

func namespace(ctx context.Context, name string) {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	Expect(client.IgnoreAlreadyExists(c.Create(ctx, ns))).To(Succeed())
}

// create makes objects that go with the spec, and waits until they are gone.
func create(ctx context.Context, objects ...client.Object) {
	GinkgoHelper()
	for _, o := range objects {
		Expect(c.Create(ctx, o)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { remove(ctx, o) })
	}
}

func remove(ctx context.Context, o client.Object) {
	GinkgoHelper()
	Expect(client.IgnoreNotFound(c.Delete(ctx, o))).To(Succeed())
	Eventually(func() bool {
		return apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(o), o))
	}).Should(BeTrue(), "%T %s is not deleted", o, o.GetName())
}

// update changes an object.
func update[T client.Object](ctx context.Context, obj T, change func(T)) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(c.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
		change(obj)
		g.Expect(c.Update(ctx, obj)).To(Succeed())
	}).Should(Succeed())
}

// definition is a function for Eventually: a NetworkAttachmentDefinition, nil if there is none.
func definition(ctx context.Context, namespace, name string) func(Gomega) *nadv1.NetworkAttachmentDefinition {
	return func(g Gomega) *nadv1.NetworkAttachmentDefinition {
		nad := &nadv1.NetworkAttachmentDefinition{}
		err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, nad)
		if apierrors.IsNotFound(err) {
			return nil
		}
		g.Expect(err).NotTo(HaveOccurred())
		return nad
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
			for _, l := range m.GetLabel() {
				if l.GetName() == "controller" && l.GetValue() == controller {
					total += m.GetCounter().GetValue()
				}
			}
		}
	}
	return total
}

// idle waits until the manager has sent no request for a while.
func idle() {
	GinkgoHelper()
	last, since := "", time.Now()
	Eventually(func() time.Duration {
		if now := fmt.Sprint(requests.All()); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since)
	}).Should(BeNumerically(">", 2*time.Second))
}
