"""Settings under which the migrations of social-auth-app-django are replayed."""

SECRET_KEY = "not secret: a fixture"
USE_TZ = True
SITE_ID = 1
ROOT_URLCONF = "site_social_auth_app_django"
STATIC_URL = "/static/"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"

urlpatterns = []

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin",
    "django.contrib.sites",
    "social_django",
]

MIDDLEWARE = []

TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "replay"}}
