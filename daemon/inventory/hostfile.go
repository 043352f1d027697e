package inventory

import "slices"

// HostFile is a place on the host for a file of ours.
type HostFile struct {
	// Path below the root of the host.
	Path string
	// Exists tells that there is a file; Content is its text, whoever wrote it.
	Exists  bool
	Content string
	// ReadOnly tells that the file system there is mounted read-only.
	ReadOnly bool
	// Unreadable is the reason why it is not known what is there; empty if it is.
	Unreadable string
}

// File returns the place with this path. One that is not in the list is writable,
// and there is nothing.
func (n *Node) File(path string) HostFile {
	if i := slices.IndexFunc(n.Files, func(f HostFile) bool { return f.Path == path }); i >= 0 {
		return n.Files[i]
	}
	return HostFile{Path: path}
}

// Claim is a setting of SR-IOV that somebody else has in his configuration.
type Claim struct {
	// Owner is the program that carries it out: "NetworkManager", "netplan".
	Owner string
	// Source is the file it is in, below the root of the host.
	Source string
	// Setting in the owner's own words: "virtual-function-count: 4".
	Setting string
	// Sets tells that it sets the number of VFs or the eswitch mode of the PF. What
	// else there is concerns single VFs, names or the time after.
	Sets bool
	// Of is the PF it is for.
	Of Selector
}

// Selector says which PFs a claim is for. Each list that is not empty must have an
// entry that fits. A selector without any is for PFs that it does not name.
type Selector struct {
	// Names of netdevs, PCIAddresses and Drivers are patterns with * and ?.
	Names, PCIAddresses, Drivers []string
	// MACs in lower case.
	MACs []string
}

// Anything tells that a selector names no PF.
func (s *Selector) Anything() bool {
	return len(s.Names)+len(s.PCIAddresses)+len(s.Drivers)+len(s.MACs) == 0
}
