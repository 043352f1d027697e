// Package manager puts the controllers together and runs them.
//
// Flow: a rest.Config and options go in, controllers run until the context
// ends. What they have in common (cache, scheme, fleet) is made here. The
// command of the operator, the demo and the tests all run this.
//
// The package imports the controllers and controller-runtime, and never the
// daemon.
package manager
