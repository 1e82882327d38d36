"""Texts that would be more than text on a page that is careless: for every field that a call can fill."""

XSS = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\"><svg onload=document.title='owned'>",
    "' autofocus onfocus='document.title=`owned`' x='",
    "javascript:document.title='owned'",
    "</script><script>document.title='owned'</script>",
    "</textarea></title><iframe srcdoc=\"<script>parent.document.title='owned'</script>\">",
    "{{ 7 * 7 }}${7*7}<%= 7*7 %>#{7*7}",
    "<base href=https://evil.example/>",
    "<style>*{display:none}</style>",
    "\u202e<a href=//evil.example>\u2028</a>\x00",
)
