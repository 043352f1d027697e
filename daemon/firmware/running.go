package firmware

import (
	"fmt"
	"slices"
	"strings"
)

// applications as the driver names them (nfp_app.c: app_nic, app_bpf,
// app_flower, app_abm).
var applications = []string{"nic", "ebpf", "flower", "abm"}

// fwVersionMax is what ETHTOOL_GDRVINFO has room for (ETHTOOL_FWVERS_LEN, with
// the zero at its end).
const fwVersionMax = 31

// Running returns the application that runs on a card. Text is the firmware
// version that the driver reports through ethtool; its last word is the name that
// the driver itself has for the application it found in the firmware's symbol
// _pf0_net_app_id (nfp_get_drvinfo). Eswitch tells whether devlink answers with an
// eswitch mode, which the driver does for flower and abm only.
//
// Nothing else will do: devlink's fw.app is a version such as "aotc-2.14" and may
// be missing, phys_switch_id is there with every application (it is the card's
// serial number, nfp_devlink_port_register), and abm has an eswitch as well.
func Running(text string, eswitch bool) (string, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return "", fmt.Errorf("the driver reports no firmware")
	}
	last := words[len(words)-1]
	app := ""
	if slices.Contains(applications, last) {
		app = last
	} else if len(text) >= fwVersionMax {
		app = cutOff(last, words[:len(words)-1], eswitch)
	}
	switch has := app == "flower" || app == "abm"; {
	case app == "":
		return "", fmt.Errorf("the driver reports firmware %q, which names no application that is known", text)
	case has != eswitch:
		return "", fmt.Errorf("the driver reports firmware %q, and an eswitch that does not go with it", text)
	}
	return app, nil
}

// cutOff returns the application of a text that was too long for its place: the
// only one that begins like its last word and has an eswitch or not. When there
// are only three words before the cut, the last one is of the version.
func cutOff(last string, before []string, eswitch bool) string {
	var fit []string
	for _, app := range applications {
		if len(before) >= 3 && strings.HasPrefix(app, last) && (app == "flower" || app == "abm") == eswitch {
			fit = append(fit, app)
		}
	}
	if len(fit) != 1 {
		return ""
	}
	return fit[0]
}

// Media writes port speeds in Mb/s, ordered by port, as names of firmware files
// have them: runs of equal speeds, "4x10_1x40". Empty when one is not known.
func Media(mbps []int) string {
	var parts []string
	for i := 0; i < len(mbps); {
		n := 1
		for i+n < len(mbps) && mbps[i+n] == mbps[i] {
			n++
		}
		if mbps[i] <= 0 {
			return ""
		}
		parts = append(parts, fmt.Sprintf("%dx%d", n, mbps[i]/1000))
		i += n
	}
	return strings.Join(parts, "_")
}

// SerialFile returns the name of the firmware file of one card, from its PCI
// configuration space; false when that has no serial number. The driver takes
// serial and interface from the Device Serial Number capability
// (nfp6000_read_serial and nfp6000_get_interface in nfp6000_pcie.c).
func SerialFile(config []byte) (string, bool) {
	const first, capability = 0x100, 0x0003
	word := func(at int) uint32 {
		return uint32(config[at]) | uint32(config[at+1])<<8 | uint32(config[at+2])<<16 | uint32(config[at+3])<<24
	}
	// Each capability is 4 bytes at least: the list cannot be longer, even if it
	// is a circle.
	at := first
	for range 1024 {
		if at < first || at+12 > len(config) {
			return "", false
		}
		header := word(at)
		if header&0xffff == capability {
			low, high := word(at+4), word(at+8)
			return fmt.Sprintf("serial-%02x-%02x-%02x-%02x-%02x-%02x-%02x-%02x.nffw", high>>24, high>>16&0xff, high>>8&0xff, high&0xff,
				low>>24, low>>16&0xff, low>>8&0xff, low&0xff), true
		}
		at = int(header >> 20)
	}
	return "", false
}
