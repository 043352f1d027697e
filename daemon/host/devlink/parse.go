package devlink

import (
	"fmt"

	"github.com/vishvananda/netlink/nl"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/nlsock"
)

// names are the kernel's words for an enumeration, as devlink(8) prints them.
type names []string

var (
	// 2 exists since about Linux 6.19: switchdev whose ports do not forward yet.
	eswitchModes = names{nl.DEVLINK_ESWITCH_MODE_LEGACY: "legacy", nl.DEVLINK_ESWITCH_MODE_SWITCHDEV: "switchdev"}
	inlineModes  = names{"none", "link", "network", "transport"}
	encapModes   = names{"none", "basic"}
	flavours     = names{"physical", "cpu", "dsa", "pcipf", "pcivf", "virtual", "unused", "pcisf"}
)

// name returns the word for a number, unknown(N) for one of a newer kernel.
func (n names) name(value []byte) string {
	i := nlsock.Int(value)
	if i < len(n) {
		return n[i]
	}
	return fmt.Sprintf("unknown(%d)", i)
}

// number returns the number of a word.
func (n names) number(name string) (int, bool) {
	for i := range n {
		if n[i] == name {
			return i, true
		}
	}
	return 0, false
}

// parseEswitch parses the answer to ESWITCH_GET; false when it has no mode.
func parseEswitch(attrs []byte) (host.Eswitch, bool) {
	var e host.Eswitch
	for kind, value := range nlsock.Attrs(attrs) {
		switch kind {
		case nl.DEVLINK_ATTR_ESWITCH_MODE:
			e.Mode = eswitchModes.name(value)
		case nl.DEVLINK_ATTR_ESWITCH_INLINE_MODE:
			e.InlineMode = inlineModes.name(value)
		case nl.DEVLINK_ATTR_ESWITCH_ENCAP_MODE:
			e.EncapMode = encapModes.name(value)
		}
	}
	return e, e.Mode != ""
}

// parseInfo parses the answer to INFO_GET.
func parseInfo(attrs []byte) host.DevlinkInfo {
	info := host.DevlinkInfo{Fixed: map[string]string{}, Running: map[string]string{}, Stored: map[string]string{}}
	for kind, value := range nlsock.Attrs(attrs) {
		switch kind {
		case nl.DEVLINK_ATTR_INFO_DRIVER_NAME:
			info.Driver = nlsock.Text(value)
		case nl.DEVLINK_ATTR_INFO_SERIAL_NUMBER:
			info.SerialNumber = nlsock.Text(value)
		case nl.DEVLINK_ATTR_INFO_VERSION_FIXED:
			addVersion(info.Fixed, value)
		case nl.DEVLINK_ATTR_INFO_VERSION_RUNNING:
			addVersion(info.Running, value)
		case nl.DEVLINK_ATTR_INFO_VERSION_STORED:
			addVersion(info.Stored, value)
		}
	}
	return info
}

func addVersion(versions map[string]string, attrs []byte) {
	var name, text string
	for kind, value := range nlsock.Attrs(attrs) {
		switch kind {
		case nl.DEVLINK_ATTR_INFO_VERSION_NAME:
			name = nlsock.Text(value)
		case nl.DEVLINK_ATTR_INFO_VERSION_VALUE:
			text = nlsock.Text(value)
		}
	}
	if name != "" {
		versions[name] = text
	}
}

// parseParam parses the answer to PARAM_GET; false when the parameter has no
// runtime value or is not text.
func parseParam(attrs []byte) (string, bool) {
	for kind, param := range nlsock.Attrs(attrs) {
		if kind != nl.DEVLINK_ATTR_PARAM {
			continue
		}
		isText := false
		for kind, value := range nlsock.Attrs(param) {
			switch kind {
			case nl.DEVLINK_ATTR_PARAM_TYPE:
				isText = nlsock.Int(value) == nl.DEVLINK_PARAM_TYPE_STRING
			case nl.DEVLINK_ATTR_PARAM_VALUES_LIST:
				if text, ok := runtimeValue(value); ok && isText {
					return text, true
				}
			}
		}
	}
	return "", false
}

// runtimeText is what PARAM_SET takes beside the handle to set the runtime value
// of a text parameter (devlink_nl_param_set_doit).
func runtimeText(name, value string) []*nl.RtAttr {
	return []*nl.RtAttr{
		nl.NewRtAttr(nl.DEVLINK_ATTR_PARAM_NAME, nl.ZeroTerminated(name)),
		nl.NewRtAttr(nl.DEVLINK_ATTR_PARAM_TYPE, []byte{nl.DEVLINK_PARAM_TYPE_STRING}),
		nl.NewRtAttr(nl.DEVLINK_ATTR_PARAM_VALUE_CMODE, []byte{nl.DEVLINK_PARAM_CMODE_RUNTIME}),
		nl.NewRtAttr(nl.DEVLINK_ATTR_PARAM_VALUE_DATA, nl.ZeroTerminated(value)),
	}
}

// runtimeValue returns the data of the value in force among a parameter's
// values: one for each configuration mode (runtime, driverinit, permanent).
func runtimeValue(list []byte) (string, bool) {
	for kind, entry := range nlsock.Attrs(list) {
		if kind != nl.DEVLINK_ATTR_PARAM_VALUE {
			continue
		}
		mode, text, found := -1, "", false
		for kind, value := range nlsock.Attrs(entry) {
			switch kind {
			case nl.DEVLINK_ATTR_PARAM_VALUE_CMODE:
				if len(value) == 1 {
					mode = int(value[0])
				}
			case nl.DEVLINK_ATTR_PARAM_VALUE_DATA:
				text, found = nlsock.Text(value), true
			}
		}
		if mode == nl.DEVLINK_PARAM_CMODE_RUNTIME && found {
			return text, true
		}
	}
	return "", false
}

// parsePort parses one answer of the PORT_GET dump.
func parsePort(attrs []byte) host.DevlinkPort {
	var p host.DevlinkPort
	for kind, value := range nlsock.Attrs(attrs) {
		switch kind {
		case nl.DEVLINK_ATTR_BUS_NAME:
			p.Handle.Bus = nlsock.Text(value)
		case nl.DEVLINK_ATTR_DEV_NAME:
			p.Handle.Device = nlsock.Text(value)
		case nl.DEVLINK_ATTR_PORT_INDEX:
			p.Index = uint32(nlsock.Int(value))
		case nl.DEVLINK_ATTR_PORT_FLAVOUR:
			p.Flavour = flavours.name(value)
		case nl.DEVLINK_ATTR_PORT_NETDEV_IFINDEX:
			p.NetdevIndex = nlsock.Int(value)
		case nl.DEVLINK_ATTR_PORT_NETDEV_NAME:
			p.NetdevName = nlsock.Text(value)
		case nl.DEVLINK_ATTR_PORT_PCI_PF_NUMBER:
			p.PFNumber = number(value)
		case nl.DEVLINK_ATTR_PORT_PCI_VF_NUMBER:
			p.VFNumber = number(value)
		}
	}
	return p
}

func number(value []byte) *int {
	n := nlsock.Int(value)
	return &n
}
