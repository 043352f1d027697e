package programs

import "strings"

// dropInHead is the beginning of our file for update-grub.
const dropInHead = `# Written by sriov-offload-operator. Changes are overwritten.
# To remove it, take the node out of all policies, or run
# "sriov-offload-operator daemon cleanup" on the node.
`

// Lines of the drop-in around the arguments: what others have set stays.
const (
	dropInBefore = `GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX `
	dropInAfter  = `"`
)

// dropIn is the text of our file. Arguments have no characters that mean something
// to a shell.
func dropIn(arguments []string) string {
	return dropInHead + dropInBefore + strings.Join(arguments, " ") + dropInAfter + "\n"
}

// dropInArguments reads the file back.
func dropInArguments(text string) []string {
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), dropInBefore)
		if rest, found := strings.CutSuffix(rest, dropInAfter); ok && found {
			return strings.Fields(rest)
		}
	}
	return nil
}

// grubbyArguments reads the line args="ro root=..." of grubby --info.
func grubbyArguments(text string) []string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), `args="`); ok {
			return strings.Fields(strings.TrimSuffix(rest, `"`))
		}
	}
	return nil
}
