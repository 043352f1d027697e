// Package counting counts the requests that a client sends to an API server.
//
// Flow: Wrap goes into rest.Config.WrapTransport, counts by verb and resource
// come out. Tests use it to show what is not sent.
//
// The package imports the standard library only. Production code never imports
// it.
package counting
