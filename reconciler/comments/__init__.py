"""One comment on a pull or merge request that is kept up to date, through the REST APIs of GitHub and GitLab."""
