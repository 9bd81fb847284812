package dockerfile

import (
	"slices"
	"strings"
)

// setsUser are images whose own configuration names a user other than root, by
// what their publishers document: for where the engine does not have them. A
// slash at the end stands for all of a namespace.
var setsUser = []string{
	// of the official library
	"elasticsearch", "haproxy", "kibana", "kong", "logstash", "memcached", "rocket.chat", "solr", "sonarqube", "varnish",
	// of others
	"apache/airflow", "apache/spark", "bitnami/", "bitnamilegacy/", "cgr.dev/chainguard/", "cimg/", "circleci/", "curlimages/curl",
	"docker.elastic.co/beats/elastic-agent", "docker.elastic.co/elastic-agent/elastic-agent", "docker.elastic.co/elasticsearch/elasticsearch",
	"docker.elastic.co/kibana/kibana", "docker.elastic.co/logstash/logstash", "fluent/fluentd", "grafana/grafana", "grafana/grafana-oss",
	"jenkins/inbound-agent", "jenkins/jenkins", "jupyter/", "quay.io/jupyter/", "keycloak/keycloak", "quay.io/keycloak/keycloak",
	"maildev/maildev", "mailhog/mailhog", "mcr.microsoft.com/mssql/server", "nodered/node-red", "opensearchproject/opensearch",
	"opensearchproject/opensearch-dashboards", "prom/alertmanager", "prom/blackbox-exporter", "prom/node-exporter", "prom/prometheus",
	"prom/pushgateway", "quay.io/prometheus/", "selenium/", "sonatype/nexus3",
}

// nonRootByName reports whether the name of an image promises a user other
// than root.
func nonRootByName(r reference) bool {
	if strings.Contains(r.tag, "nonroot") || strings.Contains(r.tag, "rootless") || strings.Contains(r.name, "unprivileged") || strings.Contains(r.name, "nonroot") {
		return true
	}
	name := strings.TrimPrefix(strings.TrimPrefix(r.name, "docker.io/"), "library/")
	return slices.ContainsFunc(setsUser, func(known string) bool {
		return name == known || strings.HasSuffix(known, "/") && strings.HasPrefix(name, known)
	})
}
