// Package sysdig has sysdig, where it is installed, answer questions about one
// container: the commands for it, and bounded runs of them whose answers are
// safe to be shown.
package sysdig

import (
	"fmt"
	"strings"

	"plimsoll/checks"
)

// A Question is something that sysdig knows of a container.
type Question struct {
	ID   string         // for the command line
	Asks checks.Message // the question
	Says checks.Message // what the answer shows, and how to read it

	chisel string // script of sysdig that answers it, "" for none
	filter string // what is of interest, beside the container; "" is everything
	print  string // what is printed of each event, where no chisel does; "" is the usual
}

// opened keeps what succeeded: an exit event knows what became of the call.
const opened = "evt.dir=< and "

// Questions returns what can be asked, the most wanted first. They are right
// for sysdig 0.29 and later; a test has the real one read them.
func Questions() []Question {
	return []Question{
		{
			ID: "commands", Asks: checks.Msg("which commands are run"),
			Says:   checks.Msg("Each program that is started, by whom, and by which program. In a container of one service few should come; a shell, curl or a compiler among them deserves a look."),
			filter: opened + "evt.type=execve", print: "*%evt.time.s %user.name(%user.uid) %proc.pname: %proc.cmdline",
		},
		{
			ID: "shells", Asks: checks.Msg("who opens shells"),
			Says:   checks.Msg("Each shell that is started, with its terminal: 0 is none, so a program started it; any other is a person who types."),
			filter: opened + "evt.type=execve and proc.name in (sh, bash, ash, dash, zsh, ksh, mksh, fish, csh, tcsh, rbash)", print: "*%evt.time.s %user.name(%user.uid) %proc.pname: %proc.cmdline terminal=%proc.tty",
		},
		{
			ID: "typed", Asks: checks.Msg("what somebody types into a shell"),
			Says:   checks.Msg("Commands that are started from a shell, and the folders that are gone to, indented by who started whom."),
			chisel: "spy_users",
		},
		{
			ID: "connections", Asks: checks.Msg("which connections there are"),
			Says:   checks.Msg("Connections by what goes through them, in bytes of one second. An address that nobody knows, or a port of a mining pool (3333, 4444, 14444), deserves a look."),
			chisel: "topconns",
		},
		{
			ID: "dials", Asks: checks.Msg("whom it connects to, and who connects to it"),
			Says:   checks.Msg("Each connection that is opened or accepted, by which program. A database that opens some outwards is unusual."),
			filter: opened + "evt.type in (connect, accept, accept4) and fd.type in (ipv4, ipv6)", print: "*%evt.time.s %proc.name %evt.type %fd.name %evt.res",
		},
		{
			ID: "written", Asks: checks.Msg("which files are opened for writing"),
			Says:   checks.Msg("Each file that is opened for writing, by which program. What is not below a volume or /tmp is lost with the container, and could be made read-only."),
			filter: opened + "evt.is_open_write=true and fd.typechar=f", print: "*%evt.time.s %user.name(%user.uid) %proc.name %fd.name",
		},
		{
			ID: "files", Asks: checks.Msg("which files are read and written most"),
			Says:   checks.Msg("Files by bytes read and written in one second."),
			chisel: "topfiles_bytes",
		},
		{
			ID: "secrets", Asks: checks.Msg("who reads passwords and keys"),
			Says:   checks.Msg("Each opening of a file of passwords, keys or secrets. The program that needs them reads them once when it starts; anything else deserves a look."),
			filter: opened + "evt.type in (open, openat, openat2) and (fd.name pmatch (/etc/shadow, /etc/sudoers, /root/.ssh, /run/secrets, /var/run/secrets) or fd.name endswith /environ or fd.name contains id_rsa or fd.name contains /.aws/)",
			print:  "*%evt.time.s %user.name(%user.uid) %proc.name %fd.name %evt.res",
		},
		{
			ID: "cpu", Asks: checks.Msg("which processes use the CPU"),
			Says:   checks.Msg("Processes by CPU time of one second, with their number outside and inside of the container. Full use for minutes, by a name that nobody knows, is what miners look like."),
			chisel: "topprocs_cpu",
		},
		{
			ID: "errors", Asks: checks.Msg("which files cannot be opened"),
			Says:   checks.Msg("Files by failed operations of one second. Many that do not exist, or may not be read, are what searching around looks like; or a container that is hardened too much."),
			chisel: "topfiles_errors",
		},
		{
			ID: "everything", Asks: checks.Msg("every system call"),
			Says: checks.Msg("Everything that happens, as strace would show it: very much. Only the beginning is shown here; the command can be narrowed by a filter."),
		},
	}
}

// Find returns the question called id, or nil.
func find(id string) *Question {
	for _, q := range Questions() {
		if q.ID == id {
			return &q
		}
	}
	return nil
}

// args returns the arguments of sysdig for the container with the full or short
// id.
func (q *Question) args(id string) ([]string, error) {
	if !isID(id) {
		return nil, fmt.Errorf("%q is not the id of a container", id)
	}
	filter := "container.id=" + id[:shortID]
	if q.filter != "" {
		filter = q.filter + " and " + filter
	}
	switch {
	case q.chisel != "":
		return []string{"-pc", "-c", q.chisel, filter}, nil
	case q.print != "":
		return []string{"-p", q.print, filter}, nil
	}
	return []string{"-pc", filter}, nil
}

// shortID is how much of an id sysdig knows.
const shortID = 12

func isID(id string) bool {
	return len(id) >= shortID && strings.Trim(id, "0123456789abcdef") == ""
}
