package network

import (
	"os"
	"strings"
	"testing"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// TestPage: docs/networks.md explains every reason and every check.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/networks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{
		sriovv1.ReasonAttached, sriovv1.ReasonChecksPending, sriovv1.ReasonChecksFailed,
		sriovv1.ReasonNamespaceNotFound, sriovv1.ReasonInvalid, sriovv1.ReasonDefinitionUnknown,
		CheckResource, CheckMultus, CheckCNI, CheckHardwareOffload, CheckLoadBalancer,
		CheckTunnelInterface, CheckSubnet, CheckLogicalSwitch,
		string(sriovv1.CheckPassed), string(sriovv1.CheckPending), string(sriovv1.CheckFailed), string(sriovv1.CheckUnknown),
		sriovv1.LabelInjectResources, annotationTunnelInterface,
	} {
		if !strings.Contains(string(page), "`"+word) {
			t.Errorf("docs/networks.md does not explain %s", word)
		}
	}
}
