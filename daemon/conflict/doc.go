// Package conflict finds in the configuration of other programs what they do to
// SR-IOV NICs: NetworkManager, netplan, systemd-networkd, sriov-network-operator
// and NVIDIA's mlnx-tools.
//
// Flow: daemon/observe reads the files of Places through the host's doors and has
// them parsed here; the claims go into the inventory; daemon/plan asks which of
// them fit a PF, and turns them into blockers and warnings.
//
// A file is read as its owner reads it, as far as that says which PF is meant and
// what is set. One that cannot be understood is an error, unless it does not
// mention SR-IOV at all. Nothing here stops or changes another program.
//
// The package is pure. It imports daemon/inventory and a YAML decoder.
package conflict
