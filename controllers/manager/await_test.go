package manager_test

import (
	"context"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/deviceplugin/await"
	"github.com/sriov-offload/sriov-offload-operator/test/controlplane"
)

// pluginConfig is the config of the device plugin's own service account, which
// may do what config/rbac says.
func (k *cluster) pluginConfig(ctx context.Context) *rest.Config {
	GinkgoHelper()
	root, err := controlplane.ModuleRoot()
	Expect(err).NotTo(HaveOccurred())
	file, err := os.Open(filepath.Join(root, "config", "rbac", "device_plugin.yaml"))
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(file.Close()).To(Succeed()) }()
	documents := yaml.NewYAMLOrJSONDecoder(file, 4096)
	account, role, binding := &corev1.ServiceAccount{}, &rbacv1.Role{}, &rbacv1.RoleBinding{}
	for _, object := range []client.Object{account, role, binding} {
		Expect(documents.Decode(object)).To(Succeed())
		if object == client.Object(binding) {
			binding.Subjects[0].Namespace = k.namespace
		}
		k.create(ctx, object)
	}
	restricted := rest.CopyConfig(config)
	restricted.Impersonate.UserName = "system:serviceaccount:" + k.namespace + ":" + account.Name
	return restricted
}

var _ = Describe("The init container of the device plugin", func() {
	It("writes the file when the node is what the present spec asks for, and not before", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.node(ctx, "cx", nil)
		k.create(ctx, legacyPolicy("legacy", 2, "enp2s0f0", nil))
		k.report(ctx, "cx", i82576())
		Eventually(k.spec(ctx, "cx")).Should(HaveField("Interfaces", HaveLen(1)))
		path := filepath.Join(GinkgoT().TempDir(), "config.json")

		done := make(chan error, 1)
		plugin := k.pluginConfig(ctx)
		go func() {
			defer GinkgoRecover()
			done <- await.Run(ctx, await.Options{Config: plugin, Node: "cx", Namespace: k.namespace, File: path})
		}()
		Consistently(done).ShouldNot(Receive())

		By("failing on the node")
		k.answer(ctx, "cx", sriovv1.ReasonBlocked, "no room")
		Consistently(done).ShouldNot(Receive())
		Expect(path).NotTo(BeAnExistingFile())

		By("converging")
		k.answer(ctx, "cx", sriovv1.ReasonConverged, "")
		Eventually(done).WithTimeout(2 * time.Minute).Should(Receive(BeNil()))
		configMap := &corev1.ConfigMap{}
		Expect(c.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: "device-plugin-config-cx"}, configMap)).To(Succeed())
		written, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(written)).To(And(Equal(configMap.Data["config.json"]), ContainSubstring("#0-1")))
	})

	It("ends without a file when it is told to", func(ctx SpecContext) {
		k := newCluster(ctx)
		path := filepath.Join(GinkgoT().TempDir(), "config.json")
		plugin := k.pluginConfig(ctx)
		short, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() {
			defer GinkgoRecover()
			done <- await.Run(short, await.Options{Config: plugin, Node: "absent", Namespace: k.namespace, File: path})
		}()
		Consistently(done).ShouldNot(Receive())
		cancel()
		Eventually(done).WithTimeout(2 * time.Minute).Should(Receive(MatchError(context.Canceled)))
		Expect(path).NotTo(BeAnExistingFile())
	})
})
