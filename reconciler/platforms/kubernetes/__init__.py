"""What grants of type kubernetes become, on whichever platform the registry is: pull secrets in clusters, and their links."""
