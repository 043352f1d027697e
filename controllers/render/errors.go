package render

import (
	"errors"
	"fmt"
	"strings"
)

// InputError is everything that is wrong with the manifests or the command line.
type InputError struct {
	// Problems, in the order of the files.
	Problems []Problem
}

// Problem is one thing that is wrong.
type Problem struct {
	// Source is where it is: "FILE: document N (line L)".
	Source string
	// Object is kind and namespace/name, empty when the document has none.
	Object string
	// Field is the path of the field, empty when the whole object is meant.
	Field string
	// Message says what is wrong and, where it is known, what would be right.
	Message string
}

// Error has one line per problem.
func (e *InputError) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	if len(lines) == 1 {
		return lines[0]
	}
	return fmt.Sprintf("%d problems in the input:\n%s", len(lines), strings.Join(lines, "\n"))
}

// String is one line: source, object, field and message, as far as they are known.
func (p Problem) String() string {
	var parts []string
	for _, part := range []string{p.Source, p.Object, p.Field, p.Message} {
		if part != "" {
			parts = append(parts, strings.Join(strings.Fields(part), " "))
		}
	}
	return strings.Join(parts, ": ")
}

func invalid(message string) error {
	return &InputError{Problems: []Problem{{Message: message}}}
}

// ExitCode of a process that ends with err: 0 without an error, 2 when the
// input has to be changed, 1 for anything else.
func ExitCode(err error) int {
	var input *InputError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &input):
		return 2
	default:
		return 1
	}
}
