package failure

import "syscall"

// Faults around files on the host.
const (
	// FaultForeignFile: a file of somebody else's is where ours should be.
	FaultForeignFile Fault = "ForeignFile"
	// FaultNetworkManager: NetworkManager would not read its settings again.
	FaultNetworkManager Fault = "NetworkManager"
)

// hostFileSteps are the steps on files of ours.
var hostFileSteps = []string{"PutHostFile", "RemoveHostFile"}

// fileEntries: open(2), write(2), rename(2). What stopped us without a refusal of
// the host comes first.
func fileEntries() []Entry {
	return []Entry{
		{Code: "ForeignFile", Steps: hostFileSteps, Faults: []Fault{FaultForeignFile},
			Message: "somebody else has put a file in the place of ours",
			Remedy:  "move the file away, or take the node out of the policies"},
		{Code: "NetworkManagerRefused", Steps: hostFileSteps, Faults: []Fault{FaultNetworkManager},
			Message: "NetworkManager was told to read its settings again, and did not",
			Remedy:  "none at first: it is tried again; otherwise run: systemctl reload NetworkManager"},
		{Code: "HostFileReadOnly", Steps: hostFileSteps, Errnos: []syscall.Errno{syscall.EROFS},
			Message: "the host's file system is mounted read-only",
			Remedy:  "make the file part of the host's image, or mount its folder writable; VFs are set up without it"},
		{Code: "HostFileDenied", Steps: hostFileSteps, Errnos: []syscall.Errno{syscall.EPERM, syscall.EACCES},
			Message: "the host does not let the daemon change the file",
			Remedy:  "check that the daemon runs as root with the host's root mounted writable, that the file is not immutable (lsattr), and the log of SELinux or AppArmor"},
		{Code: "HostDiskFull", Steps: hostFileSteps, Errnos: []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT},
			Message: "the host's disk is full",
			Remedy:  "free space on the host's root file system"},
		{Code: "HostFile", Steps: hostFileSteps,
			Message: "the file on the host could not be changed",
			Remedy:  "see the reason, and the disk and the folders on the path of the file"},
	}
}
