// Package apirules tests the API as a user meets it: the generated CRDs, their
// rules and defaults, and the samples, on a real API server.
//
// Flow: config/crd and config/samples go in, answers of the API server come
// out. The package has tests only; it imports api/v1 and test/controlplane.
package apirules
