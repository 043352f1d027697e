package conflict

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

const otherOperator = "sriov-network-operator"

// applied is a PF in the files of the sriov-network-operator. Versions differ in
// upper and lower case of the names, which the decoder does not mind.
type applied struct {
	PCIAddress  string `json:"pciAddress"`
	NumVFs      *int   `json:"numVfs"`
	EswitchMode string `json:"eSwitchMode"`
	External    bool   `json:"externallyManaged"`
}

func (a applied) claim(f file, sets bool) inventory.Claim {
	setting := a.PCIAddress
	if a.NumVFs != nil {
		setting += fmt.Sprintf(" numVfs: %d", *a.NumVFs)
	}
	if a.EswitchMode != "" {
		setting += " eSwitchMode: " + a.EswitchMode
	}
	return inventory.Claim{
		Owner: otherOperator, Source: f.source, Setting: setting, Sets: sets && !a.External,
		Of: inventory.Selector{PCIAddresses: []string{a.PCIAddress}},
	}
}

// operatorConfig reads what the sriov-network-operator carries out at boot.
func operatorConfig(f file) ([]inventory.Claim, error) {
	var root struct {
		Spec       struct{ Interfaces []applied } `json:"spec"`
		Interfaces []applied                      `json:"interfaces"`
	}
	if err := yaml.Unmarshal([]byte(f.content), &root); err != nil {
		return nil, err
	}
	var out []inventory.Claim
	for _, a := range append(root.Spec.Interfaces, root.Interfaces...) {
		if a.PCIAddress != "" {
			out = append(out, a.claim(f, true))
		}
	}
	return out, nil
}

// operatorApplied reads what the sriov-network-operator has done last to a PF. It
// may be gone since and have left the file behind: that sets nothing.
func operatorApplied(f file) ([]inventory.Claim, error) {
	var a applied
	if err := yaml.Unmarshal([]byte(f.content), &a); err != nil || a.PCIAddress == "" {
		return nil, err
	}
	return []inventory.Claim{a.claim(f, false)}, nil
}

// operatorUnit is a service of the sriov-network-operator. Which PFs it sets up is
// in the other files.
func operatorUnit(f file) ([]inventory.Claim, error) {
	return []inventory.Claim{{Owner: otherOperator, Source: f.source, Setting: "a service that sets up PFs at boot"}}, nil
}

// mlnxRules finds the rules of NVIDIA's mlnx-tools that name representors with
// vf-net-link-name.sh: they come after ours and have the last word.
func mlnxRules(f file) ([]inventory.Claim, error) {
	for line := range strings.Lines(f.content) {
		if strings.Contains(line, "vf-net-link-name.sh") && !strings.HasPrefix(strings.TrimSpace(line), "#") {
			return []inventory.Claim{{Owner: "mlnx-tools", Source: f.source, Setting: "names for representors"}}, nil
		}
	}
	return nil, nil
}

// mlnxModprobe finds mlnx-tools' hook that sets eswitch modes when mlx5_ib is
// loaded. The PFs are written in a script.
func mlnxModprobe(f file) ([]inventory.Claim, error) {
	for line := range strings.Lines(f.content) {
		if strings.Contains(line, "mlnx_eswitch_set.sh") && !strings.HasPrefix(strings.TrimSpace(line), "#") {
			return []inventory.Claim{{Owner: "mlnx-tools", Source: f.source, Setting: "a script that sets eswitch modes", Sets: true}}, nil
		}
	}
	return nil, nil
}
