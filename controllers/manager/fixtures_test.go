package manager_test

import (
	"encoding/json"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// connectX5 is one port of a dual-port ConnectX-5, as the guides have it.
func connectX5(port int) sriovv1.InterfaceStatus {
	return sriovv1.InterfaceStatus{
		Name: fmt.Sprintf("ens41f%dnp%d", port, port), PCIAddress: fmt.Sprintf("0000:5f:00.%d", port),
		Driver: "mlx5_core", Vendor: "15b3", DeviceID: "1017", TotalVfs: 8, MTU: 1500,
		LinkType: sriovv1.LinkTypeEthernet, EswitchMode: sriovv1.EswitchModeLegacy,
	}
}

// i82576 is one port of an Intel 82576.
func i82576() sriovv1.InterfaceStatus {
	return sriovv1.InterfaceStatus{
		Name: "enp2s0f0", PCIAddress: "0000:02:00.0",
		Driver: "igb", Vendor: "8086", DeviceID: "10c9", TotalVfs: 7, MTU: 1500, LinkType: sriovv1.LinkTypeEthernet,
	}
}

// guidePolicy is the policy of the Kube-OVN guide.
func guidePolicy() *sriovv1.SriovNetworkNodePolicy {
	return &sriovv1.SriovNetworkNodePolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "policy"},
		Spec: sriovv1.SriovNetworkNodePolicySpec{
			NodeSelector: map[string]string{sriovv1.LabelCapable: "true"},
			EswitchMode:  sriovv1.EswitchModeSwitchdev,
			NumVfs:       3,
			NicSelector:  sriovv1.NicSelector{PfNames: []string{"ens41f0np0", "ens41f1np1"}},
			ResourceName: "cx_sriov_switchdev",
		},
	}
}

// legacyPolicy asks for VFs on one PF of the nodes with a label.
func legacyPolicy(name string, numVfs int, pfName string, nodes map[string]string) *sriovv1.SriovNetworkNodePolicy {
	if nodes == nil {
		nodes = map[string]string{}
	}
	return &sriovv1.SriovNetworkNodePolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: sriovv1.SriovNetworkNodePolicySpec{
			NodeSelector: nodes,
			NumVfs:       numVfs,
			NicSelector:  sriovv1.NicSelector{PfNames: []string{pfName}},
			ResourceName: "legacy",
		},
	}
}

// haveCondition matches a status with a condition.
func haveCondition(kind string, status metav1.ConditionStatus, reason string) types.GomegaMatcher {
	return HaveField("Conditions", ContainElement(And(
		HaveField("Type", kind), HaveField("Status", status), HaveField("Reason", reason),
	)))
}

// haveMessage matches a status with a condition whose message matches.
func haveMessage(kind string, message types.GomegaMatcher) types.GomegaMatcher {
	return HaveField("Conditions", ContainElement(And(HaveField("Type", kind), HaveField("Message", message))))
}

func mustJSON(v any) []byte {
	GinkgoHelper()
	data, err := json.Marshal(v)
	Expect(err).NotTo(HaveOccurred())
	return data
}
