"""The coordinators' console, one file a page. Each page's blueprint is named as in `service.web.shell.NAV`."""
