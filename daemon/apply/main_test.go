package apply_test

import (
	"flag"
	"testing"
)

// checks is how many cases each property gets, unless -rapid.checks says otherwise.
const checks = "100"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", checks); err != nil {
			panic(err)
		}
	}
	m.Run()
}
