package conflict

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// section of an ini file, with its keys in order. A name may come several times.
type section struct {
	name string
	keys []key
}

type key struct{ name, value string }

// ini reads the format that GKeyFile and systemd share: sections in brackets, one
// "key=value" a line, comments after # or ; at the begin of a line. With a
// backslash at its end, a line goes on (systemd.syntax(7)); NetworkManager has no
// such lines.
func ini(content string) ([]section, error) {
	if !utf8.ValidString(content) || strings.ContainsRune(content, 0) {
		return nil, fmt.Errorf("it is no text")
	}
	var out []section
	number, unfinished := 0, ""
	for line := range strings.Lines(content) {
		number++
		line = strings.TrimSpace(line)
		if line == "" && unfinished == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		if before, ok := strings.CutSuffix(line, `\`); ok {
			unfinished += before + " "
			continue
		}
		line, unfinished = unfinished+line, ""
		name, isSection := strings.CutPrefix(line, "[")
		if isSection {
			name, closed := strings.CutSuffix(name, "]")
			if !closed {
				return nil, fmt.Errorf("line %d: the section's name has no end", number)
			}
			out = append(out, section{name: name})
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		switch {
		case !ok:
			return nil, fmt.Errorf("line %d: neither section nor key", number)
		case len(out) == 0:
			return nil, fmt.Errorf("line %d: a key before the first section", number)
		}
		s := &out[len(out)-1]
		s.keys = append(s.keys, key{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	return out, nil
}

// get returns the last value of a key in the sections of one name.
func get(all []section, name, key string) string {
	values := every(all, name, key)
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// every returns all values of a key in the sections of one name.
func every(all []section, name, key string) []string {
	var out []string
	for _, s := range all {
		if s.name != name {
			continue
		}
		for _, k := range s.keys {
			if k.name == key && k.value != "" {
				out = append(out, k.value)
			}
		}
	}
	return out
}

func contains(all []section, name string) bool {
	for _, s := range all {
		if s.name == name {
			return true
		}
	}
	return false
}
