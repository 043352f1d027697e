package failure

import "syscall"

// machineEntries are about the machine's boot loader, its modules, the RDMA
// subsystem and the login manager.
func machineEntries() []Entry {
	return []Entry{
		{Code: "KernelArguments", Steps: []string{"SetKernelArguments"}, Faults: []Fault{FaultTimeout},
			Message: "the boot loader's tool did not end in time",
			Remedy:  "none at first: it is tried again; otherwise run the tool by hand on the node"},
		{Code: "KernelArguments", Steps: []string{"SetKernelArguments"},
			Message: "the boot loader's tool failed, and the kernel's command line may not be changed",
			Remedy:  "see what the tool said; check that the daemon sees the host's root, with /boot mounted writable; or set the arguments by hand"},
		{Code: "ModuleMissing", Steps: []string{"LoadModule"},
			Message: "a module of the kernel could not be loaded",
			Remedy:  "see what modprobe said: the module may be on a deny list in /etc/modprobe.d, or the kernel be locked down"},
		{Code: "RDMAMode", Steps: []string{"SetRDMAMode"}, Errnos: []syscall.Errno{syscall.EPERM},
			Message: "the kernel does not let the daemon change the RDMA namespace mode",
			Remedy:  "run the daemon with CAP_NET_ADMIN in the host's network namespace"},
		{Code: "RDMAMode", Steps: []string{"SetRDMAMode"},
			Message: "the RDMA namespace mode could not be changed",
			Remedy:  "see the reason; remove rdmaMode from the node's pool to leave it alone"},
		{Code: "RebootRefused", Steps: []string{"Reboot"},
			Message: "the node could not be rebooted",
			Remedy:  "reboot the node by hand, or see why systemd-logind does not: systemd-inhibit --list shows who holds it back"},
	}
}
