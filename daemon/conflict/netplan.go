package conflict

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// definition of an Ethernet interface in netplan(5), as far as it says something
// about SR-IOV.
type definition struct {
	Match   *match `json:"match"`
	SetName string `json:"set-name"`
	// Link of a VF is the definition of its PF.
	Link  string `json:"link"`
	Count *int   `json:"virtual-function-count"`
	Mode  string `json:"embedded-switch-mode"`
	Delay *bool  `json:"delay-virtual-functions-rebind"`
}

type match struct {
	Name string `json:"name"`
	MAC  string `json:"macaddress"`
	// Driver is one pattern or several.
	Driver json.RawMessage `json:"driver"`
}

// netplan reads one file. Definitions of others may add to one; its match is in
// the file with what is claimed for it, or the PF's name is its own.
func netplan(f file) ([]inventory.Claim, error) {
	if !f.mentions("virtual-function", "embedded-switch-mode", "link:") {
		return nil, nil
	}
	var root struct {
		Network struct {
			Ethernets map[string]*definition `json:"ethernets"`
		} `json:"network"`
	}
	if err := yaml.Unmarshal([]byte(f.content), &root); err != nil {
		return nil, err
	}
	all := root.Network.Ethernets
	var out []inventory.Claim
	for _, id := range slices.Sorted(maps.Keys(all)) {
		d := all[id]
		if d == nil {
			continue
		}
		claim := func(pf string, sets bool, format string, args ...any) {
			setting := fmt.Sprintf("ethernets.%s.%s", id, fmt.Sprintf(format, args...))
			out = append(out, inventory.Claim{Owner: "netplan", Source: f.source, Setting: setting, Sets: sets, Of: all[pf].selects(pf)})
		}
		switch {
		case d.Count != nil:
			claim(id, true, "virtual-function-count: %d", *d.Count)
		case d.Delay != nil && *d.Delay:
			claim(id, false, "delay-virtual-functions-rebind: true")
		}
		if d.Mode != "" {
			claim(id, true, "embedded-switch-mode: %s", d.Mode)
		}
		// Without a count, netplan makes as many VFs as are defined (SR-IOV in netplan(5)).
		if d.Link != "" {
			claim(d.Link, true, "link: %s", d.Link)
		}
	}
	return out, nil
}

// selects says which netdevs a definition is for; without a match, that of its name.
func (d *definition) selects(id string) inventory.Selector {
	if d == nil || d.Match == nil {
		return inventory.Selector{Names: []string{id}}
	}
	var s inventory.Selector
	if d.Match.Name != "" {
		s.Names = append(s.Names, d.Match.Name)
		if d.SetName != "" {
			s.Names = append(s.Names, d.SetName)
		}
	}
	if d.Match.MAC != "" {
		s.MACs = []string{strings.ToLower(d.Match.MAC)}
	}
	if err := json.Unmarshal(d.Match.Driver, &s.Drivers); err != nil {
		var one string
		if json.Unmarshal(d.Match.Driver, &one) == nil && one != "" {
			s.Drivers = strings.Fields(one)
		}
	}
	return s
}
