package v1

import "strings"

// Limits of the schema that code has to keep too, since an API server refuses
// the whole object when one value of it goes beyond. Markers take literals
// only: a test compares these with the generated definitions.
const (
	// MaxInterfaces is how many PFs a node state has in its spec and in its status.
	MaxInterfaces = 256
	// MaxBonds is how many bonds the spec of a node state has: as many as
	// MaxInterfaces has pairs of ports.
	MaxBonds = MaxInterfaces / 2
	// MaxVFGroups is how many groups the spec has on one PF.
	MaxVFGroups = 256
	// MaxVFs is how many VFs of one PF the status of a node state lists.
	MaxVFs = 4096
	// MaxPCIAddressLength is the length of the key of every PF.
	MaxPCIAddressLength = 64
	// MaxNameLength is the length of a netdev's name as the status has it. The
	// kernel's own limit is 15.
	MaxNameLength = 64
	// MaxAltNames and MaxAltNameLength bound the altNames of a netdev. The
	// kernel's own limit for the length is 127.
	MaxAltNames      = 64
	MaxAltNameLength = 128
	// MaxPorts is how many physical ports of one PF the status lists.
	MaxPorts = 32
	// MaxNotes and MaxNoteLength bound the notes on one PF.
	MaxNotes      = 16
	MaxNoteLength = 1024
	// MaxBlockers is how many blockers one PF has, and how many warnings.
	MaxBlockers = 256
	// MaxPlanSteps and MaxStepLength bound the published plan.
	MaxPlanSteps  = 64
	MaxStepLength = 1024
	// MaxAffectedPods is how many pods the published plan names.
	MaxAffectedPods = 1024
	// MaxMessageLength is the length of a message of the status of a node state
	// and, by convention, of the message of every condition.
	MaxMessageLength = 4096
	// MaxConflicts is how many conflicts the status of a policy lists.
	MaxConflicts = 32
	// MaxReasonLength is the length of the reason of a conflict and of the
	// message of a field that matched nothing.
	MaxReasonLength = 1024

	// MaxSpecBytes is how much of a node state's spec may come from what policies
	// choose freely: VF groups and bridges. No schema can say it; with it, the
	// whole spec stays far below the 1.5 MiB that etcd takes as one object.
	MaxSpecBytes = 384 << 10
)

// Clip shortens a text to at most limit bytes, at the border of a character,
// and marks that something is missing. The limit has to leave room for the mark
// of 4 bytes. A schema counts characters, of which a text never has more than bytes.
func Clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const mark = " ..."
	return strings.ToValidUTF8(s[:limit-len(mark)], "") + mark
}
