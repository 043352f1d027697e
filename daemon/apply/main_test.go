package apply_test

import (
	"flag"
	"testing"
)

// Unless flags say otherwise, each property gets this many cases, and the same ones
// everywhere: a change is judged by what it does to them. make soak draws others.
var defaults = map[string]string{"rapid.checks": "100", "rapid.seed": "20261201"}

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { _, ours := defaults[f.Name]; given = given || ours })
	if !given {
		setDefaults()
	}
	m.Run()
}

func setDefaults() {
	for name, value := range defaults {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
}
