package boot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

const (
	// folder is ours on the host; the ledger is in it too.
	folder = "var/lib/sriov-offload-operator"
	// statePath is where the State is.
	statePath = folder + "/boot.json"
	// programPath is where our own program is.
	programPath = folder + "/bin/sriov-offload-operator"
)

// StateVersion is the format of State that this code writes, and the newest it reads.
const StateVersion = 1

// maxState is the largest file that is taken for a State, in bytes. No object in
// etcd is larger than 1.5 MiB.
const maxState = 4 << 20

// ErrState says that it is not known what is to be done at boot: nothing is done.
var ErrState = errors.New("the state for the boot cannot be used")

// State is what a boot has to know, because there is no API server to ask.
type State struct {
	// Version of the format.
	Version int `json:"version"`
	// Digest is the SHA-256 of the State without it: a file that was changed or cut
	// off is no order.
	Digest string `json:"digest"`
	// NodeIP is the address under which the node is known to its cluster; empty if
	// it is not known.
	NodeIP string `json:"nodeIP,omitempty"`
	// KubeletSocket is the kubelet's pod-resources socket, as a path of the host
	// without a leading slash; empty for the usual one.
	KubeletSocket string `json:"kubeletSocket,omitempty"`
	// Spec is what was in force last, PF by PF: see next.
	Spec sriovv1.SriovNetworkNodeStateSpec `json:"spec"`
}

// digest is what Digest must be.
func (s State) digest() (string, error) {
	s.Digest = ""
	data, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("encoding the state for the boot: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// encode returns the file of a state.
func (s State) encode() ([]byte, error) {
	s.Version = StateVersion
	var err error
	if s.Digest, err = s.digest(); err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the state for the boot: %w", err)
	}
	return append(data, '\n'), nil
}

// decodeState is strict, as the ledger's: what this version does not know was not
// written by it, and what was damaged is not believed.
func decodeState(data []byte) (State, error) {
	if len(data) > maxState {
		return State{}, damaged(fmt.Errorf("it has %d bytes, the most is %d", len(data), maxState))
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return State{}, damaged(err)
	}
	if head.Version > StateVersion {
		return State{}, fmt.Errorf("%w: its format is %d, this version reads up to %d: the daemon writes program and state anew when it runs",
			ErrState, head.Version, StateVersion)
	}
	var s State
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return State{}, damaged(err)
	}
	switch want, err := s.digest(); {
	case err != nil:
		return State{}, damaged(err)
	case s.Digest != want:
		return State{}, damaged(errors.New("its digest is not that of its content"))
	}
	if err := s.valid(); err != nil {
		return State{}, damaged(err)
	}
	return s, nil
}

func damaged(err error) error {
	return fmt.Errorf("%w: /%s is damaged: %w: nothing was touched; the daemon writes it anew when it runs", ErrState, statePath, err)
}

// valid returns an error for what no daemon has written. Addresses end up in paths
// below /sys.
func (s *State) valid() error {
	if s.Version < 1 {
		return errors.New("it has no version")
	}
	if s.Spec.ComputedFrom == "" {
		return errors.New("its spec was never computed")
	}
	if _, err := netip.ParseAddr(s.NodeIP); s.NodeIP != "" && err != nil {
		return fmt.Errorf("nodeIP: %w", err)
	}
	if s.KubeletSocket != "" && !fs.ValidPath(s.KubeletSocket) {
		return fmt.Errorf("kubeletSocket %q is not relative and clean", s.KubeletSocket)
	}
	for i := range s.Spec.Interfaces {
		address := s.Spec.Interfaces[i].PCIAddress
		if !fs.ValidPath(address) || address == "." || strings.Contains(address, "/") {
			return fmt.Errorf("spec.interfaces[%d].pciAddress is %q, which is no PCI address", i, address)
		}
		if n := s.Spec.Interfaces[i].NumVfs; n < 0 || n > sriovv1.MaxVFs {
			return fmt.Errorf("spec.interfaces[%d].numVfs is %d", i, n)
		}
	}
	return nil
}

// ReadState reads the state of a host. Every error is an ErrState.
func ReadState(ctx context.Context, h host.Host) (State, error) {
	data, err := h.FS.ReadFile(ctx, statePath)
	if err != nil {
		return State{}, fmt.Errorf("%w: %w: nothing was touched; the daemon writes it when it runs in mode systemd", ErrState, err)
	}
	return decodeState(data)
}
