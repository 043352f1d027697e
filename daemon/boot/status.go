package boot

import (
	"fmt"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Status is what there is to say of a node's boot. Its zero value is "not known".
type Status struct {
	// Mode in force: sriovv1.ConfigurationDaemon or ConfigurationSystemd.
	Mode string
	// Ready, Reason and Message are those of the condition BootReady.
	Ready           bool
	Reason, Message string
}

// outcome is what became of one phase at this boot.
type outcome struct {
	phase Phase
	// result is nil when it left none; unread is why it could not be read.
	result *Result
	unread error
	// unit is what systemd says of it; asked only when there is no result.
	unit host.UnitState
}

// inDaemonMode is the status of a node on which nothing is installed.
func inDaemonMode() Status {
	return Status{
		Mode: sriovv1.ConfigurationDaemon, Ready: true, Reason: sriovv1.ReasonDaemonMode,
		Message: "nothing is installed for the boot: the daemon configures the node when it starts",
	}
}

// withoutSystemd is the status of a node that cannot have what is asked for.
func withoutSystemd() Status {
	return Status{
		Mode: sriovv1.ConfigurationDaemon, Reason: sriovv1.ReasonNoSystemd,
		Message: "configurationMode systemd is asked for, and " + host.ErrNoSystemd.Error() +
			": the daemon configures the node when it starts. Set configurationMode: daemon in the SriovOperatorConfig, " +
			"or, if the node does run systemd, mount the host's /run into the daemon",
	}
}

// notInstalled is the status after err. Linked tells that a boot starts the units
// all the same.
func notInstalled(linked bool, err error) Status {
	s := Status{
		Mode: sriovv1.ConfigurationDaemon, Reason: sriovv1.ReasonBootInstallFailed,
		Message: fmt.Sprintf("preparing the next boot: %v; it is tried again. On a node whose /etc or /var cannot be written, set configurationMode: daemon", err),
	}
	if linked {
		s.Mode = sriovv1.ConfigurationSystemd
	}
	return s
}

// notRemoved is the status of a node that goes back to the daemon's mode and could
// not be cleaned.
func notRemoved(err error) Status {
	return Status{
		Mode: sriovv1.ConfigurationSystemd, Reason: sriovv1.ReasonBootInstallFailed,
		Message: fmt.Sprintf("removing what was installed for the boot: %v; it is tried again", err),
	}
}

// installed is the status of a node whose units are in place. Outcomes are empty
// when they were installed in this boot, in which they have not run.
func installed(outcomes []outcome) Status {
	s := Status{Mode: sriovv1.ConfigurationSystemd, Ready: true, Reason: sriovv1.ReasonBootInstalled}
	var failed []string
	for _, o := range outcomes {
		if text := o.failure(); text != "" {
			failed = append(failed, text)
		}
	}
	switch {
	case len(failed) > 0:
		s.Ready, s.Reason, s.Message = false, sriovv1.ReasonBootFailed, strings.Join(failed, " | ")
	case len(outcomes) == 0:
		s.Message = "units are installed; they run at the next boot"
	default:
		s.Message = "units are installed, and went well at this boot"
	}
	return s
}

// failure says what went wrong, and where to look.
func (o *outcome) failure() string {
	look := "; see journalctl -b -u " + o.phase.unit()
	switch {
	case o.unread != nil:
		return o.unread.Error() + look
	case o.result == nil:
		return fmt.Sprintf("%s left no result at this boot (load %s, file %s, active %s, result %s)%s",
			o.phase.unit(), word(o.unit.Load), word(o.unit.File), word(o.unit.Active), word(o.unit.Result), look)
	case o.result.Error != "":
		return fmt.Sprintf("the %s part of the boot: %s%s", o.phase, o.result.Error, look)
	}
	return ""
}

func word(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
