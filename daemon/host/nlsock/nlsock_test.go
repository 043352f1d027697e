package nlsock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/bounded"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/netnstest"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/nlsock"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

// silent is a request that the kernel carries out and does not answer: no change
// of the loopback device, without the acknowledgement that every other call of
// the doors asks for.
func silent() nlsock.Call {
	request := nl.NewNetlinkRequest(unix.RTM_NEWLINK, 0)
	message := nl.NewIfInfomsg(unix.AF_UNSPEC)
	message.Index = 1
	request.AddData(message)
	return nlsock.Call{Protocol: unix.NETLINK_ROUTE, Request: request, Op: "waiting", Object: "lo"}
}

// TestNoAnswer leaves a call whose answer does not come; another call on the same
// object is refused as long as that one waits, on other objects not.
func TestNoAnswer(t *testing.T) {
	netnstest.Enter(t)
	var calls bounded.Calls
	late := errors.New("no answer in time")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, late)
	defer cancel()
	_, err := nlsock.Do(ctx, &calls, silent())
	var refusal *host.Error
	if want := "waiting on lo: the kernel has not returned: no answer in time"; !errors.As(err, &refusal) || !errors.Is(err, late) || err.Error() != want {
		t.Errorf("error is %v\nwant %s", err, want)
	}
	if _, err := nlsock.Do(t.Context(), &calls, silent()); !errors.Is(err, bounded.ErrPending) {
		t.Errorf("the same object: %v", err)
	}
	request := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	request.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	answers, err := nlsock.Do(t.Context(), &calls, nlsock.Call{Protocol: unix.NETLINK_ROUTE, Request: request, Op: "listing", Object: "links"})
	if err != nil || len(answers) != 1 {
		t.Errorf("another object: %d answers, %v", len(answers), err)
	}
}
