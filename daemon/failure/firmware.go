package failure

import "syscall"

const (
	linkFirmware   = "LinkFirmware"
	unlinkFirmware = "UnlinkFirmware"
	reloadDriver   = "ReloadDriver"
)

// firmwareEntries: nfp_main.c, nfp_net_main.c and flower/main.c of the driver nfp.
func firmwareEntries() []Entry {
	reload, files := []string{reloadDriver}, []string{linkFirmware, unlinkFirmware}
	const back = "; the firmware before is loaded again"
	return []Entry{
		{Code: "FirmwareVersionUnsupported", Steps: reload, Texts: []string{"FlowerNIC: unsupported firmware version"},
			Message: "the driver does not know this version of the flower firmware" + back,
			Remedy:  "install a flower firmware for the node's kernel, or a kernel for the firmware; flower-next needs a newer one"},
		{Code: "FirmwareNotLoaded", Steps: reload, Texts: []string{"Didn't load firmware"},
			Message: "the driver found no firmware that it may load" + back,
			Remedy:  "see in the kernel log which files it looked for; set the devlink parameter fw_load_policy to disk"},
		{Code: "FirmwareBroken", Steps: reload, Texts: []string{"FW loading failed", "Failed to load FW"},
			Message: "the NIC did not take the firmware: the file is damaged, compressed in a way that the kernel cannot undo, or for another board" + back,
			Remedy:  "install the firmware anew, and check that it is for the board that the status names"},
		{Code: "FirmwareResetFailed", Steps: reload, Texts: []string{"Failed to soft reset", "Failed to access the NSP", "board initialization timeout"},
			Message: "the NIC's management firmware does not answer" + back,
			Remedy:  "power-cycle the node; update the NIC's management firmware"},
		{Code: "FirmwareNotReady", Steps: reload, Texts: []string{"not ready for NIC operation", "Unknown Firmware ABI", "Unsupported Firmware ABI", "FlowerNIC requires"},
			Message: "the driver cannot work with the firmware" + back,
			Remedy:  "see the kernel log; install a firmware for the node's kernel"},
		{Code: "FirmwareKept", Steps: reload, Faults: []Fault{FaultKept},
			Message: "the driver was bound anew, and the NIC still runs the application firmware that it ran before: it was not reset",
			Remedy:  "none: the firmware is loaded with the next boot, which is planned if the node may be drained for it"},
		{Code: "FirmwareOther", Steps: reload, Faults: []Fault{FaultNotTaken},
			Message: "another application firmware runs than the one that was linked" + back,
			Remedy:  "see in the kernel log which file the driver loaded; if the NIC's other port or another host loads its firmware, reboot the node"},
		{Code: "FirmwareTimeout", Steps: reload, Faults: []Fault{FaultTimeout, FaultNoNetdev},
			Message: "the driver did not come back with the PF's netdevs in time",
			Remedy:  "see the kernel log; reboot the node if the NIC does not answer"},
		{Code: "TooManyVFs", Steps: []string{createVFs}, Faults: []Fault{FaultTooMany},
			Message: "the NIC's firmware, as it was loaded, allows fewer VFs",
			Remedy:  "lower numVfs to what the status of the PF now shows as totalvfs"},
		{Code: "FirmwareFolderReadOnly", Steps: files, Errnos: []syscall.Errno{syscall.EROFS},
			Message: "the folder is on a file system that cannot be written",
			Remedy:  "mount it writable for the daemon too; or make /lib/firmware read-only for the host as well, so that the operator uses its own folder"},
		{Code: "FirmwareLinkTaken", Steps: files, Errnos: []syscall.Errno{syscall.EEXIST, syscall.EISDIR},
			Message: "something that is no link has come where the firmware link should be",
			Remedy:  "remove it from the node, or remove firmwareApp from the policy"},
		{Code: "FirmwareSearchPath", Steps: files, Faults: []Fault{FaultNotTaken},
			Message: "the kernel did not take firmware_class.path",
			Remedy:  "boot with firmware_class.path=/var/lib/sriov-offload-operator/firmware on the kernel's command line"},
	}
}
