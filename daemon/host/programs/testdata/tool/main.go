// Command tool plays each of the machine's tools, in the root of a test: it notes
// its arguments there and says what it is told to.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	line := filepath.Base(os.Args[0]) + " [" + strings.Join(os.Args[1:], "|") + "] " + os.Getenv("PATH") + "\n"
	log, err := os.OpenFile("/log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = log.WriteString(line)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(9)
	}
	if _, err := os.Stat("/slow"); err == nil {
		// Until somebody kills it.
		<-time.After(time.Hour)
	}
	if answer, err := os.Open("/answer"); err == nil {
		_, _ = io.Copy(os.Stdout, answer)
	}
	if problem, err := os.Open("/problem"); err == nil {
		_, _ = io.Copy(os.Stderr, problem)
		os.Exit(3)
	}
}
