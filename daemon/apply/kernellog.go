package apply

import (
	"context"
	"slices"
	"strings"
	"time"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

const (
	// logLines bounds what is read and reported of the kernel log.
	logLines = 50
	// tailLines is how much of the end of the log is compared to tell what is new.
	tailLines = 500
	// logDeadline is for reading the log.
	logDeadline = 5 * time.Second
	// saidLines and saidLength bound what a failure says of the log.
	saidLines  = 3
	saidLength = 200
)

// said is the end of the kernel log in a failure's own words, empty if there was
// nothing about its device.
func said(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	last := slices.Clone(lines[max(0, len(lines)-saidLines):])
	for i := range last {
		last[i] = sriovv1.Clip(last[i], saidLength)
	}
	return "; kernel log: " + strings.Join(last, " / ")
}

// newLog returns the lines about the PFs and, for a step on VFs, about those, that
// were written since the chain began.
func (c *chainRun) newLog(ctx context.Context, step plan.Step) []string {
	var out []string
	for i, lines := range c.kernelLogs(ctx, c.pfs) {
		out = append(out, newLines(c.logBefore[i], lines)...)
	}
	if step == nil || c.observed.PF(step.Device()) == nil {
		return out
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logDeadline)
	defer cancel()
	var written []string
	for _, index := range plan.VFsOf(step) {
		address, err := c.vfAddress(ctx, step.Device(), index)
		if err != nil {
			continue
		}
		if written == nil {
			written = newLines(c.tailBefore, c.kernelLog(ctx, "", tailLines))
		}
		// Lines of an earlier chain are about the VF as well.
		for _, line := range c.kernelLog(ctx, address, logLines) {
			if slices.Contains(written, line) && !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
	}
	return out
}

// kernelLogs returns the newest lines about each of several devices.
func (r *runner) kernelLogs(ctx context.Context, devices []string) [][]string {
	out := make([][]string, 0, len(devices))
	for _, device := range devices {
		var lines []string
		// What is done to the node or the machine as a whole is done to no device.
		if r.observed.PF(device) != nil {
			lines = r.kernelLog(ctx, device, logLines)
		}
		out = append(out, lines)
	}
	return out
}

// kernelLog returns the newest lines about a device, or any if it is empty. The log
// is an extra: what cannot be read of it is not worth a failure. It is read even
// after the end of a step's or the run's time.
func (r *runner) kernelLog(ctx context.Context, device string, most int) []string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logDeadline)
	defer cancel()
	lines, err := r.host.Log.Recent(ctx, device, most)
	if err != nil {
		return nil
	}
	return lines
}

// newLines returns what after has beyond before, both being ends of one log.
func newLines(before, after []string) []string {
	for overlap := min(len(before), len(after)); overlap > 0; overlap-- {
		if slices.Equal(before[len(before)-overlap:], after[:overlap]) {
			return after[overlap:]
		}
	}
	return after
}
