package failure

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// Fault is what went wrong without an errno: the kernel said yes, and yet the
// fact did not come.
type Fault string

// Faults.
const (
	// FaultTimeout: the step's deadline passed.
	FaultTimeout Fault = "Timeout"
	// FaultPartial: fewer VFs were enabled than asked for.
	FaultPartial Fault = "Partial"
	// FaultTooMany: more VFs are wanted than sriov_totalvfs says.
	FaultTooMany Fault = "TooMany"
	// FaultNoIOMMUGroup: the VF has no IOMMU group.
	FaultNoIOMMUGroup Fault = "NoIOMMUGroup"
	// FaultNotBound: no driver, or another one, took the VF.
	FaultNotBound Fault = "NotBound"
	// FaultNoNetdev: a function has no netdev in the host's network namespace.
	FaultNoNetdev Fault = "NoNetdev"
	// FaultFixed: an ethtool feature cannot be changed.
	FaultFixed Fault = "Fixed"
	// FaultKept: what was to be replaced still runs.
	FaultKept Fault = "Kept"
	// FaultNotTaken: a value was accepted, and reading back shows another one.
	FaultNotTaken Fault = "NotTaken"
	// FaultOutdated: the host is not what the plan was made for.
	FaultOutdated Fault = "Outdated"
	// FaultLedger: the ledger could not be written.
	FaultLedger Fault = "Ledger"
	// FaultBondExists: a bond of the name is there that was not when the plan was made.
	FaultBondExists Fault = "BondExists"
	// FaultCanceled: the daemon was told to stop.
	FaultCanceled Fault = "Canceled"
)

// Signature is what a failed step met.
type Signature struct {
	// Step is the kind of the step, e.g. "CreateVFs"; empty if there was none.
	Step string
	// Errno is the kernel's; 0 if there was none.
	Errno syscall.Errno
	// Text is the netlink extended acknowledgement.
	Text string
	// Log are kernel log lines about the device, written during the step.
	Log []string
	// Fault is set when there was no errno.
	Fault Fault
}

// Entry of the catalogue. An entry fits when every list that is not empty holds
// what was met.
type Entry struct {
	// Code is stable and documented.
	Code string
	// Steps are kinds of steps.
	Steps []string
	// Errnos of the kernel.
	Errnos []syscall.Errno
	// Faults found without an errno.
	Faults []Fault
	// Texts are words of the kernel, in the extended acknowledgement or in the
	// log; upper and lower case do not matter.
	Texts []string
	// Message says what it means, Remedy what to do.
	Message, Remedy string
}

// Explanation of a failure.
type Explanation struct {
	Code, Message, Remedy string
}

// Explain returns the first entry of the catalogue that fits. There is always
// one: the last entry fits everything.
func Explain(s Signature) Explanation {
	for _, e := range Catalogue() {
		if e.fits(s) {
			return Explanation{Code: e.Code, Message: e.Message, Remedy: e.Remedy}
		}
	}
	return Explanation{Code: "Unexplained", Message: fmt.Sprintf("the step failed with %v", s.Errno)}
}

func (e *Entry) fits(s Signature) bool {
	return (len(e.Steps) == 0 || slices.Contains(e.Steps, s.Step)) &&
		(len(e.Errnos) == 0 || slices.Contains(e.Errnos, s.Errno)) &&
		(len(e.Faults) == 0 || slices.Contains(e.Faults, s.Fault)) &&
		(len(e.Texts) == 0 || slices.ContainsFunc(e.Texts, s.says))
}

// says tells whether the kernel used these words.
func (s *Signature) says(words string) bool {
	words = strings.ToLower(words)
	if strings.Contains(strings.ToLower(s.Text), words) {
		return true
	}
	return slices.ContainsFunc(s.Log, func(line string) bool {
		return strings.Contains(strings.ToLower(line), words)
	})
}
