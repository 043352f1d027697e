package hostfile_test

import (
	"regexp"
	"strings"
	"testing"
)

// netdev is a netdev as udev sees it: its attributes, by path below its folder.
// An attribute that is not there cannot be read.
type netdev map[string]string

// outcome is what udev makes of an event.
type outcome struct {
	name      string
	unmanaged bool
}

var token = regexp.MustCompile(`^([A-Z]+)(?:\{([^}]*)\})?(==|!=|=)"([^"]*)"$`)

// udev runs rules for one event of a netdev, as udev-rules.c does for the keys
// and operators that we use. Any other is an error.
func udev(t *testing.T, rules, action string, dev netdev) outcome {
	t.Helper()
	var out outcome
	env := map[string]string{}
	skipTo := ""
	for line := range strings.Lines(rules) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || skipTo != "" && line != `LABEL="`+skipTo+`"` {
			continue
		}
		skipTo = ""
		for _, part := range strings.Split(line, ", ") {
			m := token.FindStringSubmatch(part)
			if m == nil {
				t.Fatalf("udev would not understand %q in %q", part, line)
			}
			key, arg, op, value := m[1], m[2], m[3], m[4]
			if op != "=" {
				if !holds(t, key, arg, op, value, action, dev, env) {
					break
				}
				continue
			}
			switch key {
			case "LABEL":
			case "GOTO":
				skipTo = value
			case "NAME":
				out.name = value
			case "ENV":
				env[arg] = value
			default:
				t.Fatalf("no such key: %s", part)
			}
		}
	}
	if skipTo != "" {
		t.Fatalf("no label %s", skipTo)
	}
	out.unmanaged = env["NM_UNMANAGED"] == "1"
	return out
}

func holds(t *testing.T, key, arg, op, pattern, action string, dev netdev, env map[string]string) bool {
	t.Helper()
	var value string
	switch key {
	case "SUBSYSTEM":
		value = "net"
	case "ACTION":
		value = action
	case "ENV":
		value = env[arg]
	case "ATTR":
		var ok bool
		if value, ok = dev[arg]; !ok {
			return false
		}
	default:
		t.Fatalf("no such key: %s", key)
	}
	return fnmatch(pattern, value) == (op == "==")
}

// fnmatch is fnmatch(3) without flags for * and ?.
func fnmatch(pattern, value string) bool {
	expr := strings.NewReplacer(`\*`, `(?s:.*)`, `\?`, `(?s:.)`).Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile("^" + expr + "$").MatchString(value)
}
