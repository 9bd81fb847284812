// Probe is the only program in the images of tests. It does what its flags
// say, prints "ready" once it obeys signals, and ends at SIGTERM.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The health check asks the main process here. Abstract sockets need no file,
// so this works on a read-only root.
const socket = "@plimsoll-probe"

func main() {
	var (
		after      = flag.Duration("exit-after", 0, "exit after this time")
		code       = flag.Int("code", 0, "exit code")
		ignore     = flag.Bool("ignore-term", false, "do not end at SIGTERM")
		healthy    = flag.Duration("healthy-after", 0, "pass the health check after this time")
		unhealthy  = flag.Bool("unhealthy", false, "never pass the health check")
		check      = flag.Bool("check", false, "be the health check")
		write      = flag.String("write", "", "file=text, appended at each start")
		remove     = flag.String("remove", "", "file to remove")
		needWrite  = flag.String("need-write", "", "exit with 3 when this file cannot be written")
		needChown  = flag.String("need-chown", "", "exit with 4 when this file cannot be given away")
		serve      = flag.String("serve", "", "address to listen on; says hello to each connection")
		memory     = flag.Int("memory", 0, "MiB to use")
		print      = flag.Bool("print", false, "print user and environment")
		stderrText = flag.String("stderr", "", "print this to standard error")
		_          = flag.String("x", "", "ignored; makes command lines differ")
	)
	flag.Parse()
	if *check {
		os.Exit(ask())
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM, syscall.SIGINT)
	fmt.Println("ready")
	start := time.Now()
	if *print {
		fmt.Println("uid", os.Getuid())
		for _, e := range os.Environ() {
			fmt.Println("env", e)
		}
	}
	if *stderrText != "" {
		fmt.Fprintln(os.Stderr, *stderrText)
	}
	if file, text, ok := strings.Cut(*write, "="); ok {
		if err := appendLine(file, text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	if *remove != "" {
		if err := os.Remove(*remove); err != nil && !os.IsNotExist(err) {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(6)
		}
	}
	if *needWrite != "" {
		if err := appendLine(*needWrite, "x"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
	}
	if *needChown != "" {
		if err := os.Chown(*needChown, 1000, 1000); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(4)
		}
	}
	used := make([]byte, *memory<<20)
	for i := 0; i < len(used); i += 4096 {
		used[i] = 1
	}
	if l, err := net.Listen("unix", socket); err == nil {
		go answer(l, func() string {
			if *unhealthy || time.Since(start) < *healthy {
				return "bad"
			}
			return "ok"
		})
	}
	if *serve != "" {
		l, err := net.Listen("tcp", *serve)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(5)
		}
		go answer(l, func() string { return "hello\n" })
	}
	var over <-chan time.Time
	if flagSet("exit-after") || flagSet("code") {
		over = time.After(*after)
	}
	for {
		select {
		case <-over:
			os.Exit(*code)
		case <-term:
			if !*ignore {
				os.Exit(0)
			}
		}
		_ = used
	}
}

func flagSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

func appendLine(file, text string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(f, text); err != nil {
		return err
	}
	return f.Close()
}

func answer(l net.Listener, say func() string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		io.WriteString(c, say())
		c.Close()
	}
}

func ask() int {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return 1
	}
	b, err := io.ReadAll(c)
	if err != nil || string(b) != "ok" {
		return 1
	}
	return 0
}
