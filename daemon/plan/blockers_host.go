package plan

// Codes of blockers and warnings around what else there is on the host.
const (
	CodeForeignFile    = "ForeignFile"
	CodeHostReadOnly   = "HostFileReadOnly"
	CodeNameUnusable   = "NameUnusable"
	CodeOwnedElsewhere = "OwnedElsewhere"
	CodeAlsoConfigured = "AlsoConfigured"
	CodeConfigUnknown  = "ConfigurationUnknown"
)

// hostCodes documents them.
func hostCodes() []BlockerCode {
	return []BlockerCode{
		{CodeOwnedElsewhere, "Another program on the host is configured to set the number of VFs or the eswitch mode of the PF.",
			"Take the setting out of the file that the message names, or set externallyManaged in the policy."},
		{CodeAlsoConfigured, "Another program on the host has settings that concern the PF's VFs, and may undo what is set here.",
			"Check the file that the message names, and take out of it what the policy says too."},
		{CodeConfigUnknown, "A file on the host that may configure SR-IOV could not be read or understood.",
			"Check that the file has no setting for SR-IOV, and correct it."},
		{CodeForeignFile, "A file that is not ours has the name of one that is to be written.",
			"Move the file away, or take the node out of the policies."},
		{CodeHostReadOnly, "A file is to be written or removed where the host's file system is mounted read-only. Netdevs may change their names, and NetworkManager may touch VFs and representors.",
			"Make the file part of the host's image, or mount its folder writable; see docs/host-files.md."},
		{CodeNameUnusable, "A netdev's name cannot go into a rule, or representors would get too long names from it.",
			"Give the PF a shorter name of letters, digits, '.', '_' and '-', e.g. with a .link file."},
	}
}
