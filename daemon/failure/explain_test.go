package failure_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/failure"
)

// What kernels answer, and what it means.
func TestExplain(t *testing.T) {
	for _, c := range []struct {
		want string
		met  failure.Signature
	}{
		{"VFsAlreadyEnabled", failure.Signature{Step: "CreateVFs", Errno: syscall.EBUSY, Log: []string{"mlx5_core 0000:5f:00.0: 2 VFs already enabled. Disable before enabling 3 VFs"}}},
		{"TooManyVFs", failure.Signature{Step: "CreateVFs", Errno: syscall.ERANGE}},
		{"NoSRIOVDriver", failure.Signature{Step: "CreateVFs", Errno: syscall.ENOENT, Log: []string{"driver does not support SR-IOV configuration via sysfs"}}},
		{"NoMMIO", failure.Signature{Step: "CreateVFs", Errno: syscall.ENOMEM, Log: []string{"igb 0000:01:00.0: not enough MMIO resources for SR-IOV"}}},
		{"NoBusNumbers", failure.Signature{Step: "CreateVFs", Errno: syscall.ENOMEM, Log: []string{"SR-IOV: bus number out of range"}}},
		{"NoBusNumbers", failure.Signature{Step: "CreateVFs", Errno: syscall.ENOMEM, Log: []string{"can't enable 7 VFs (bus 02 out of range of [bus 01])"}}},
		{"NoPCIResources", failure.Signature{Step: "CreateVFs", Errno: syscall.ENOMEM}},
		{"VFInVM", failure.Signature{Step: "RemoveVFs", Errno: syscall.EPERM, Log: []string{"Disabling while VFs assigned"}}},
		{"VFInVM", failure.Signature{Step: "RemoveVFs", Errno: syscall.EPERM}},
		{"VFInVM", failure.Signature{Step: "RemoveVFs", Errno: syscall.EBUSY, Log: []string{"unloading PF driver while leaving orphan VFs"}}},
		{"FirmwareLimit", failure.Signature{Step: "CreateVFs", Errno: syscall.EINVAL, Log: []string{"nfp: Firmware limits number of VFs to 16"}}},
		{"PartialVFs", failure.Signature{Step: "CreateVFs", Fault: failure.FaultPartial}},
		{"VFsTimeout", failure.Signature{Step: "CreateVFs", Fault: failure.FaultTimeout}},
		{"EswitchBusy", failure.Signature{Step: "SetEswitchMode", Errno: syscall.EBUSY, Text: "mlx5_core: Can't change mode, E-Switch is busy"}},
		{"FirmwareReset", failure.Signature{Step: "SetEswitchMode", Errno: syscall.EBUSY, Text: "Can't change eswitch mode during firmware reset"}},
		{"NetnsDiverged", failure.Signature{Step: "SetEswitchMode", Errno: syscall.EOPNOTSUPP, Text: "Can't change E-Switch mode to switchdev when netdev net namespace has diverged from the devlink's."}},
		{"SocketDirect", failure.Signature{Step: "SetEswitchMode", Errno: syscall.EOPNOTSUPP, Text: "Can't change E-Switch mode to switchdev when multi-PF netdev (Socket Direct) is configured."}},
		{"IPsecConfigured", failure.Signature{Step: "SetEswitchMode", Errno: syscall.EOPNOTSUPP, Text: "Can't change eswitch mode when IPsec SA and/or policies are configured"}},
		{"TrapsActive", failure.Signature{Step: "SetEswitchMode", Errno: syscall.EOPNOTSUPP, Text: "Can't change mode while devlink traps are active"}},
		{"InlineMode", failure.Signature{Step: "SetEswitchMode", Errno: syscall.EOPNOTSUPP, Text: "Inline mode can't be set"}},
		{"InlineMode", failure.Signature{Step: "SetEswitchMode", Errno: syscall.EINVAL, Text: "Failed to set min inline on vport"}},
		{"FlowsConfigured", failure.Signature{Step: "SetEswitchMode", Errno: syscall.EOPNOTSUPP, Text: "Can't set encapsulation when flows are configured"}},
		{"VFsPresent", failure.Signature{Step: "SetEswitchMode", Errno: syscall.EOPNOTSUPP, Text: "Changing eswitch mode is allowed only if there is no VFs created"}},
		{"VFsMissing", failure.Signature{Step: "SetEswitchMode", Errno: syscall.EPERM, Text: "Enable VFs before setting switchdev mode"}},
		{"VFsMissing", failure.Signature{Step: "SetEswitchMode", Errno: syscall.EINVAL, Text: "Can't set offloads mode, SRIOV legacy not enabled"}},
		{"AlreadyInMode", failure.Signature{Step: "SetEswitchMode", Errno: syscall.EINVAL, Text: "already in switchdev eswitch mode"}},
		{"EswitchUnsupported", failure.Signature{Step: "SetEswitchMode", Errno: syscall.EOPNOTSUPP}},
		{"SteeringInSwitchdev", failure.Signature{Step: "SetSteeringMode", Errno: syscall.EOPNOTSUPP, Text: "mlx5_core: Changing fs mode is not supported when eswitch offloads enabled."}},
		{"SteeringInSwitchdev", failure.Signature{Step: "SetSteeringMode", Errno: syscall.EOPNOTSUPP, Text: "mlx5_core: Software managed steering is not supported when eswitch offloads enabled."}},
		{"SteeringModeOfNIC", failure.Signature{Step: "SetSteeringMode", Errno: syscall.EOPNOTSUPP, Text: "mlx5_core: Software managed steering is not supported by current device"}},
		{"SteeringModeOfNIC", failure.Signature{Step: "SetSteeringMode", Errno: syscall.EOPNOTSUPP, Log: []string{"mlx5_core 0000:5f:00.0: Hardware managed steering is not supported by current device"}}},
		{"SteeringModeOfKernel", failure.Signature{Step: "SetSteeringMode", Errno: syscall.EINVAL, Text: `Bad parameter: supported values are ["dmfs", "smfs"]`}},
		{"SteeringNotTaken", failure.Signature{Step: "SetSteeringMode", Fault: failure.FaultNotTaken}},
		{"SteeringRefused", failure.Signature{Step: "SetSteeringMode", Errno: syscall.EINVAL}},
		{"InlineMode", failure.Signature{Step: "SetInlineMode", Errno: syscall.EOPNOTSUPP, Text: "mlx5_core: Inline mode can't be set"}},
		{"InlineFlows", failure.Signature{Step: "SetInlineMode", Errno: syscall.EOPNOTSUPP, Text: "Can't set inline mode when flows are configured"}},
		{"InlineNotTaken", failure.Signature{Step: "SetInlineMode", Fault: failure.FaultNotTaken}},
		{"InlineRefused", failure.Signature{Step: "SetInlineMode", Errno: syscall.EINVAL}},
		{"PFDown", failure.Signature{Step: "CreateVFs", Fault: failure.FaultPartial, Log: []string{"bnxt_en 0000:af:00.0 ens5f0np0: Reject SRIOV config request since if is down!"}}},
		{"EswitchUnsupported", failure.Signature{Step: "SetEswitchMode", Errno: 524, Log: []string{"FW does not support SRIOV E-Switch SWITCHDEV mode"}}},
		{"LAGActive", failure.Signature{Step: "BindVF", Errno: syscall.EINVAL, Log: []string{"mlx5_core 0000:5f:00.0: Make sure all VFs are unbound prior to VF LAG activation or deactivation"}}},
		{"LAGActive", failure.Signature{Step: "SetEswitchMode", Errno: syscall.EINVAL, Log: []string{"Failed to deactivate VF LAG; driver restart required"}}},
		{"LAGVFsBound", failure.Signature{Step: "AwaitLAG", Fault: failure.FaultTimeout, Log: []string{"mlx5_core 0000:5f:00.0: Failed to activate VF LAG"}}},
		{"LAGBroken", failure.Signature{Step: "AwaitLAG", Fault: failure.FaultTimeout, Log: []string{"mlx5_core 0000:5f:00.0: Failed to deactivate VF LAG; driver restart required"}}},
		{"LAGMode", failure.Signature{Step: "AwaitLAG", Fault: failure.FaultTimeout, Log: []string{"Can't activate LAG offload, TX type isn't supported"}}},
		{"LAGTooManyVFs", failure.Signature{Step: "AwaitLAG", Fault: failure.FaultTimeout, Log: []string{"Can't activate LAG offload, PF is configured with more than 64 VFs"}}},
		{"LAGInactive", failure.Signature{Step: "AwaitLAG", Fault: failure.FaultTimeout}},
		{"MemberUp", failure.Signature{Step: "EnslaveMember", Errno: syscall.EPERM, Text: "Device can not be enslaved while up"}},
		{"MemberInUse", failure.Signature{Step: "EnslaveMember", Errno: syscall.EBUSY, Text: "Device is in use and cannot be enslaved"}},
		{"BondNameTaken", failure.Signature{Step: "CreateBond", Errno: syscall.EEXIST}},
		{"BondExists", failure.Signature{Step: "CreateBond", Fault: failure.FaultBondExists}},
		{"BondingMissing", failure.Signature{Step: "CreateBond", Errno: syscall.EOPNOTSUPP, Text: "Unknown device type"}},
		{"BondHasMembers", failure.Signature{Step: "SetBond", Errno: syscall.ENOTEMPTY}},
		{"BondOption", failure.Signature{Step: "SetBond", Errno: syscall.EACCES}},
		{"RepresentorsMissing", failure.Signature{Step: "AwaitRepresentors", Fault: failure.FaultTimeout}},
		{"NoIOMMUGroup", failure.Signature{Step: "BindVF", Fault: failure.FaultNoIOMMUGroup}},
		{"DriverNotBound", failure.Signature{Step: "BindVF", Fault: failure.FaultNotBound}},
		{"VFNetdevMissing", failure.Signature{Step: "BindVF", Fault: failure.FaultNoNetdev}},
		{"VFNetdevMissing", failure.Signature{Step: "SetVFMTU", Fault: failure.FaultNoNetdev}},
		{"MTUOutOfRange", failure.Signature{Step: "SetMTU", Errno: syscall.EINVAL, Text: "mtu greater than device maximum"}},
		{"OffloadFixed", failure.Signature{Step: "SetHWTCOffload", Fault: failure.FaultFixed}},
		{"OVSNotRunning", failure.Signature{Step: "EnsureBridge", Fault: failure.FaultOVSNotRunning}},
		{"OVSNotTaken", failure.Signature{Step: "RemoveBridge", Fault: failure.FaultOVSNotTaken}},
		{"UplinkMissing", failure.Signature{Step: "EnsureBridge", Fault: failure.FaultOVSUplink, Text: "could not open network device ens1f0 (No such device)"}},
		{"UplinkBusy", failure.Signature{Step: "EnsureBridge", Fault: failure.FaultOVSUplink, Text: "could not add network device ens1f0 to ofproto (Device or resource busy)"}},
		{"UplinkRefused", failure.Signature{Step: "EnsureBridge", Fault: failure.FaultOVSUplink, Text: "could not open network device ens1f0 (Address family not supported by protocol)"}},
		{"BridgeForeign", failure.Signature{Step: "EnsureBridge", Errno: syscall.EEXIST}},
		{"BridgeForeign", failure.Signature{Step: "RemoveBridge", Errno: syscall.EPERM}},
		{"BridgePorts", failure.Signature{Step: "RemoveBridge", Errno: syscall.EBUSY}},
		{"BridgeRefused", failure.Signature{Step: "EnsureBridge", Text: "constraint violation: open is not one of the allowed values"}},
		{"OVSTimeout", failure.Signature{Step: "EnsureBridge", Fault: failure.FaultTimeout}},
		{"NetdevMissing", failure.Signature{Step: "SetLinkUp", Fault: failure.FaultNoNetdev}},
		{"LedgerUnwritable", failure.Signature{Errno: syscall.ENOSPC, Fault: failure.FaultLedger}},
		{"DeviceError", failure.Signature{Step: "SetLinkUp", Errno: syscall.EIO}},
		{"Unexplained", failure.Signature{Step: "SetLinkUp", Errno: syscall.EXDEV}},
	} {
		if got := failure.Explain(c.met); got.Code != c.want {
			t.Errorf("%+v is explained as %s, want %s", c.met, got.Code, c.want)
		}
	}
}

// Every entry can be met: none hides behind an earlier one.
func TestCatalogue(t *testing.T) {
	reached := map[string]bool{}
	for _, e := range failure.Catalogue() {
		if e.Code == "" || e.Message == "" || e.Remedy == "" || strings.HasSuffix(e.Message, ".") {
			t.Errorf("entry %+v is not complete, or its message is a sentence", e)
		}
		s := failure.Signature{}
		if len(e.Steps) > 0 {
			s.Step = e.Steps[0]
		}
		if len(e.Errnos) > 0 {
			s.Errno = e.Errnos[0]
		}
		if len(e.Faults) > 0 {
			s.Fault = e.Faults[0]
		}
		if len(e.Texts) > 0 {
			s.Text = strings.ToUpper(e.Texts[0])
		}
		got := failure.Explain(s)
		reached[got.Code] = true
		if got.Message != e.Message {
			t.Errorf("%s hides behind %s for %+v", e.Code, got.Code, s)
		}
	}
	if len(reached) < 40 {
		t.Errorf("the catalogue has %d codes", len(reached))
	}
}
