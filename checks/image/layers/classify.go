package layers

import (
	"path"
	"strings"
)

// A Tool is a kind of program that an image may do without.
type Tool = string

const (
	PackageManager Tool = "package-manager"
	Shell          Tool = "shell"
	AttackTool     Tool = "attack-tool"
	Compiler       Tool = "compiler"
	SSHServer      Tool = "ssh-server"
	Sudo           Tool = "sudo"
)

// tools are programs by name, wherever programs lie.
var tools = func() map[string]Tool {
	names := map[Tool]string{
		PackageManager: "apk apt apt-get dpkg yum dnf microdnf tdnf rpm zypper pacman pip pip3 npm yarn pnpm gem conda",
		Shell:          "sh ash bash dash fish ksh mksh zsh busybox",
		AttackTool: "nc ncat netcat nc.openbsd nc.traditional nmap masscan tcpdump tshark strace ltrace gdb gdbserver socat " +
			"telnet hydra john hashcat sqlmap nikto msfconsole proxychains proxychains4 chisel",
		Compiler:  "gcc cc g++ c++ clang clang++ tcc ld ld.bfd ld.gold ld.lld as make cmake rustc cargo javac go",
		SSHServer: "sshd dropbear",
		Sudo:      "sudo doas pkexec",
	}
	m := map[string]Tool{}
	for tool, list := range names {
		for name := range strings.FieldsSeq(list) {
			m[name] = tool
		}
	}
	return m
}()

// programs are directories of them, besides those of languages' own.
var programs = map[string]bool{
	"bin": true, "sbin": true, "usr/bin": true, "usr/sbin": true, "usr/local/bin": true, "usr/local/sbin": true,
	"usr/local/go/bin": true, "opt/bin": true, "usr/lib/busybox": true,
}

// toolOf returns what kind of tool f is.
func toolOf(f *File) Tool {
	dir, base := path.Split(f.Path)
	if f.Kind == Dir || f.Kind == Device || f.Kind == Other || f.Kind == Regular && f.Mode&0o111 == 0 || !programs[strings.TrimSuffix(dir, "/")] {
		return ""
	}
	tool := tools[base]
	if tool == "" && (versioned(base) || tools[targeted(base)] == Compiler) {
		tool = Compiler
	}
	if f.Kind == Symlink && (tool == AttackTool || tool == Compiler) {
		return "" // of busybox, or to a program that is told of itself
	}
	return tool
}

// versioned recognises gcc-12 and the like, also with the name of a machine
// before it: x86_64-linux-gnu-gcc-12.
func versioned(base string) bool {
	name := strings.TrimRight(base, "0123456789.")
	if name == base || !strings.HasSuffix(name, "-") {
		return false
	}
	name = strings.TrimSuffix(name, "-")
	name = name[strings.LastIndexByte(name, '-')+1:]
	return name == "gcc" || name == "g++" || name == "clang"
}

// targeted returns the name of a program without the machine it works for:
// x86_64-linux-gnu-ld.bfd.
func targeted(base string) string {
	for _, system := range []string{"-linux-gnu-", "-linux-musl-", "-linux-gnueabihf-"} {
		if _, name, ok := strings.Cut(base, system); ok {
			return name
		}
	}
	return ""
}

// classify notes what checks want to know of a file that a container sees.
func (s *Summary) classify(f *File, layer int) {
	found := Found{Path: f.Path, Layer: layer, Size: f.Size, Mode: f.Mode}
	if f.Kind == Regular || f.Kind == Hardlink {
		if f.Mode&0o111 != 0 && f.Mode&(SetUID|SetGID) != 0 {
			s.SetID = append(s.SetID, found)
		}
		if f.Capability {
			s.Capable = append(s.Capable, found)
		}
	}
	if worldWritable(f) {
		s.WorldWritable = append(s.WorldWritable, found)
	}
	if found.Rule = toolOf(f); found.Rule != "" {
		s.Tools = append(s.Tools, found)
	}
	if found.Rule = junk(f); found.Rule != "" {
		s.Junk = append(s.Junk, found)
	}
}

func worldWritable(f *File) bool {
	if f.Kind != Regular && f.Kind != Dir || f.Mode&0o002 == 0 || f.Kind == Dir && f.Mode&Sticky != 0 {
		return false
	}
	for _, open := range []string{"tmp", "var/tmp", "dev", "proc", "sys"} {
		if f.Path == open || strings.HasPrefix(f.Path, open+"/") {
			return false
		}
	}
	return true
}

// junk says what f is that a build left behind, "" if it is of use.
func junk(f *File) string {
	if belongsToDistribution(f.Path) && !strings.HasPrefix(f.Path, "var/cache/") {
		return ""
	}
	dir, base := path.Split(f.Path)
	if f.Kind == Dir {
		switch base {
		case ".git", ".svn", ".hg":
			return "version control"
		case ".idea", ".vscode":
			return "editor"
		case ".npm", ".cache":
			if dir == "root/" {
				return "cache"
			}
		}
		return ""
	}
	if f.Kind != Regular {
		return ""
	}
	switch {
	case base == "Dockerfile" || strings.HasPrefix(base, "Dockerfile.") || base == "Containerfile" || base == ".dockerignore":
		return "build file"
	case strings.HasPrefix(base, "docker-compose") && isYAML(base) || strings.HasPrefix(base, "compose.") && isYAML(base):
		return "build file"
	case base == ".DS_Store" || strings.HasSuffix(base, ".swp") || strings.HasSuffix(base, "~"):
		return "editor"
	case strings.HasPrefix(f.Path, "var/cache/apt/archives/") && strings.HasSuffix(base, ".deb"):
		return "cache"
	}
	return ""
}

func isYAML(base string) bool {
	return strings.HasSuffix(base, ".yml") || strings.HasSuffix(base, ".yaml")
}
