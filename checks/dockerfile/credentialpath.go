package dockerfile

import (
	"bytes"
	"path"
	"strings"

	"plimsoll/checks"
)

// credentialVariables tell programs which file holds their credentials. The
// facts are those programs' documentation.
var credentialVariables = []string{
	"GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE",
	"AZURE_AUTH_LOCATION", "OCI_CLI_CONFIG_FILE", "BOTO_CONFIG", "KUBECONFIG", "PGPASSFILE", "NETRC",
}

// namedCredentials reports files of credentials that the image names, by a
// variable, in a place where a COPY puts files of the build context.
func (f *File) namedCredentials(report func(checks.Finding)) {
	if !f.ordinary() {
		return
	}
	for _, in := range f.Instructions {
		if !f.Shipped(in.Stage) {
			continue
		}
		switch in.Keyword {
		case "ENV", "ARG":
			for _, p := range f.Pairs(in) {
				if p.HasValue && namesCredentials(p.Name) {
					f.reportNamed(in, p, report)
				}
			}
		case "COPY", "ADD":
			written, _, _, _ := f.destination(in)
			name := strings.Trim(written, "${}/")
			if namesCredentials(name) && strings.HasPrefix(written, "$") && len(in.Flag("from")) == 0 {
				report(f.finding(in, name, checks.Msg("%s puts credentials into the image: %s is where programs look for them", in.Keyword, written)))
			}
		}
	}
}

func namesCredentials(name string) bool {
	for _, v := range credentialVariables {
		if name == v {
			return true
		}
	}
	return false
}

// reportNamed reports the pair p of in if the file that it names lies where a
// COPY or ADD of the stage puts files.
func (f *File) reportNamed(in *Instruction, p Pair, report func(checks.Finding)) {
	value, certain := f.expand(p.Value, f.variablesAt(in))
	if !certain || value == "" || strings.Contains(value, "/run/secrets/") || f.Context.Ignore != nil && bytes.Contains(f.Context.Ignore, []byte(path.Base(value))) {
		return
	}
	file := f.rooted(in, value)
	for _, s := range in.Stage.Chain() {
		for _, other := range s.Instructions {
			if other.Keyword != "COPY" && other.Keyword != "ADD" || len(other.Flag("from")) > 0 || len(other.Heredocs) > 0 {
				continue
			}
			_, dest, certain, _ := f.destination(other)
			to := f.rooted(other, dest)
			if !certain || file != to && !strings.HasPrefix(file, strings.TrimSuffix(to, "/")+"/") {
				continue
			}
			finding := f.finding(in, p.Name, checks.Msg("%s names %s, where line %d puts files of the build context: credentials among them are in the image for everyone who has it", p.Name, value, other.Line))
			finding.Severity = checks.High
			finding.Evidence = append(finding.Evidence, f.lineEvidence(other, other.Line))
			report(finding)
			return
		}
	}
}

// rooted returns the absolute path of name for in, taking / for a working
// directory that is not known.
func (f *File) rooted(in *Instruction, name string) string {
	if isAbsolute(name) {
		return path.Clean(name)
	}
	dir, known := f.workdirBefore(in)
	if !known {
		dir = "/"
	}
	return path.Join("/", dir, name)
}
