package boot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Phase of a boot.
type Phase string

// Phases.
const (
	// Early comes before the network: VFs without drivers, modes, links.
	Early Phase = "early"
	// Late comes before the kubelet: drivers and settings of VFs.
	Late Phase = "late"
)

// phases in the order of a boot.
func phases() []Phase { return []Phase{Early, Late} }

// unit is the name of the unit that runs a phase.
func (p Phase) unit() string { return "sriov-offload-" + string(p) + ".service" }

// resultPath is where the phase leaves its Result.
func (p Phase) resultPath() string { return folder + "/boot-" + string(p) + ".json" }

// maxResult is the largest file that is taken for a Result, in bytes.
const maxResult = 64 << 10

// Result is what became of a phase. It tells the daemon, which reports it: a boot
// that failed is never silent.
type Result struct {
	// Version of the format, that of State.
	Version int   `json:"version"`
	Phase   Phase `json:"phase"`
	// BootID of the boot; a result of another one says nothing of this.
	BootID string `json:"bootID"`
	// Error is what went wrong; empty if nothing did.
	Error string `json:"error,omitempty"`
}

// readResult returns the result of a phase in a boot, nil if it left none.
func readResult(ctx context.Context, h host.Host, phase Phase, bootID string) (*Result, error) {
	data, err := h.FS.ReadFile(ctx, phase.resultPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what became of the %s part of the boot: %w", phase, err)
	}
	var r Result
	if len(data) > maxResult {
		return nil, fmt.Errorf("/%s has %d bytes, which is no result of a boot", phase.resultPath(), len(data))
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return nil, fmt.Errorf("/%s is no result of a boot: %w", phase.resultPath(), err)
	}
	if r.BootID != bootID || r.Phase != phase {
		return nil, nil
	}
	return &r, nil
}

// writeResult leaves the result of a phase.
func writeResult(ctx context.Context, h host.Host, phase Phase, bootID string, failed error) error {
	r := Result{Version: StateVersion, Phase: phase, BootID: bootID}
	if failed != nil {
		r.Error = sriovv1.Clip(failed.Error(), sriovv1.MaxMessageLength)
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding what became of the %s part of the boot: %w", phase, err)
	}
	if _, err := h.Files.Copy(ctx, phase.resultPath(), bytes.NewReader(append(data, '\n')), 0o600); err != nil {
		return fmt.Errorf("saving what became of the %s part of the boot: %w", phase, err)
	}
	return nil
}

// bootIDOf reads the id of the boot.
func bootIDOf(ctx context.Context, h host.Host) (string, error) {
	data, err := h.FS.ReadFile(ctx, "proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("reading the boot id: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}
